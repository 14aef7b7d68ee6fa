-- One for each recipient: what is behind it could not start.
startable AS (
    SELECT due.*, row_number() OVER (PARTITION BY recipient_id ORDER BY priority, due_at) AS turn
    FROM due
),
-- What belongs to the share of its priority goes before what is merely urgent.
ranked AS (
    SELECT id, priority,
           row_number() OVER (
               PARTITION BY priority = 0
               ORDER BY place > {share}, CASE WHEN place > {share} THEN priority ELSE (priority + {rotation}) % 3 END, due_at
           ) AS rank_in_class,
           row_number() OVER (
               ORDER BY place > {share}, CASE WHEN place > {share} THEN priority ELSE (priority + {rotation}) % 3 END, due_at
           ) AS rank
    FROM startable
    WHERE turn = 1
),
chosen AS (
    SELECT id
    FROM ranked
    WHERE priority = 0 OR rank_in_class <= {limit_below_high}
    ORDER BY rank
    LIMIT {limit}
)
UPDATE outbox_messages
SET status = 'sending',
    attempt = attempt + 1,
    fence = fence + 1,
    claimed_by = {relay},
    lease_expires_at = {lease_expires_at}
FROM chosen
WHERE outbox_messages.id = chosen.id
RETURNING outbox_messages.id, kind, channel, recipient_id, payload, outbox_messages.priority, attempt, attempts_max,
          fence, outcome_unknown, lease_expires_at, due_at, created_at, request_id, {may_be_held} AS is_probe
