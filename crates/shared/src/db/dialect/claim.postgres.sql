-- Leases due messages of one channel to one relay.
--
-- limit               messages at most
-- limit_below_high    of them, those that are not of the highest priority
-- share, rotation     so many of each priority come first, beginning with which
-- may_be_held         whether a hold on the channel is passed over, for a probe
--
-- Each priority is looked up by itself, so that a million rows of one that are not due yet are not
-- read on the way to the next. Rows that another relay has locked are passed over, not waited for.
WITH due AS MATERIALIZED (
    SELECT found.*, row_number() OVER (PARTITION BY found.priority ORDER BY found.due_at) AS place
    FROM (VALUES (0::SMALLINT, {limit}), (1::SMALLINT, {limit_below_high}), (2::SMALLINT, {limit_below_high})) AS wanted (priority, most)
    CROSS JOIN LATERAL (
        SELECT id, recipient_id, priority, due_at
        FROM outbox_messages
        WHERE status = 'pending'
          AND channel = {channel}
          AND priority = wanted.priority
          AND due_at <= {now}
          AND (expires_at IS NULL OR expires_at > {now})
          AND recipient_id <> ALL ({busy_recipients})
        ORDER BY due_at
        LIMIT wanted.most
        FOR UPDATE SKIP LOCKED
    ) AS found
    WHERE {may_be_held} OR NOT EXISTS (SELECT FROM channel_holds WHERE channel = {channel})
),
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
UPDATE outbox_messages AS m
SET status = 'sending',
    attempt = m.attempt + 1,
    fence = m.fence + 1,
    claimed_by = {relay},
    lease_expires_at = {lease_expires_at}
FROM chosen
WHERE m.id = chosen.id
RETURNING m.id, m.kind, m.channel, m.recipient_id, m.payload, m.priority, m.attempt, m.attempts_max, m.fence,
          m.outcome_unknown, m.lease_expires_at, m.due_at, m.created_at, m.request_id, {may_be_held} AS is_probe
