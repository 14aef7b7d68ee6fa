-- Leases due messages of one channel to one relay. The parameters and the words are those of
-- claim.postgres.sql; the write transaction keeps other relays away.
WITH due AS MATERIALIZED (
    SELECT found.*, row_number() OVER (PARTITION BY priority ORDER BY due_at) AS place
    FROM (
        SELECT * FROM (
            SELECT id, recipient_id, priority, due_at
            FROM outbox_messages
            WHERE status = 'pending' AND channel = {channel} AND priority = 0 AND due_at <= {now}
              AND (expires_at IS NULL OR expires_at > {now})
              AND recipient_id NOT IN (SELECT value FROM json_each({busy_recipients}))
            ORDER BY due_at
            LIMIT {limit}
        )
        UNION ALL
        SELECT * FROM (
            SELECT id, recipient_id, priority, due_at
            FROM outbox_messages
            WHERE status = 'pending' AND channel = {channel} AND priority = 1 AND due_at <= {now}
              AND (expires_at IS NULL OR expires_at > {now})
              AND recipient_id NOT IN (SELECT value FROM json_each({busy_recipients}))
            ORDER BY due_at
            LIMIT {limit_below_high}
        )
        UNION ALL
        SELECT * FROM (
            SELECT id, recipient_id, priority, due_at
            FROM outbox_messages
            WHERE status = 'pending' AND channel = {channel} AND priority = 2 AND due_at <= {now}
              AND (expires_at IS NULL OR expires_at > {now})
              AND recipient_id NOT IN (SELECT value FROM json_each({busy_recipients}))
            ORDER BY due_at
            LIMIT {limit_below_high}
        )
    ) AS found
    WHERE {may_be_held} OR NOT EXISTS (SELECT 1 FROM channel_holds WHERE channel = {channel})
),
startable AS (
    SELECT due.*, row_number() OVER (PARTITION BY recipient_id ORDER BY priority, due_at) AS turn
    FROM due
),
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
