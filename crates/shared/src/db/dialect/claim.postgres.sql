-- Leases due messages of one channel to one relay.
--
-- $1 channel               $2 now                  $3 recipients to leave alone
-- $4 messages at most      $5 of them below high   $6 the share of each priority
-- $7 rotation of shares    $8 whether the channel may be held
-- $9 relay                 $10 end of the lease
--
-- Each priority is looked up by itself, so that a million rows of one that are not due yet are not
-- read on the way to the next. Rows that another relay has locked are passed over, not waited for.
WITH due AS MATERIALIZED (
    SELECT found.*, row_number() OVER (PARTITION BY found.priority ORDER BY found.due_at) AS place
    FROM (VALUES (0::SMALLINT, $4), (1::SMALLINT, $5), (2::SMALLINT, $5)) AS wanted (priority, most)
    CROSS JOIN LATERAL (
        SELECT id, recipient_id, priority, due_at
        FROM outbox_messages
        WHERE status = 'pending'
          AND channel = $1
          AND priority = wanted.priority
          AND due_at <= $2
          AND (expires_at IS NULL OR expires_at > $2)
          AND recipient_id <> ALL ($3)
        ORDER BY due_at
        LIMIT wanted.most
        FOR UPDATE SKIP LOCKED
    ) AS found
    WHERE $8 OR NOT EXISTS (SELECT FROM channel_holds WHERE channel = $1)
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
               ORDER BY place > $6, CASE WHEN place > $6 THEN priority ELSE (priority + $7) % 3 END, due_at
           ) AS rank_in_class,
           row_number() OVER (
               ORDER BY place > $6, CASE WHEN place > $6 THEN priority ELSE (priority + $7) % 3 END, due_at
           ) AS rank
    FROM startable
    WHERE turn = 1
),
chosen AS (
    SELECT id
    FROM ranked
    WHERE priority = 0 OR rank_in_class <= $5
    ORDER BY rank
    LIMIT $4
)
UPDATE outbox_messages AS m
SET status = 'sending',
    attempt = m.attempt + 1,
    fence = m.fence + 1,
    claimed_by = $9,
    lease_expires_at = $10
FROM chosen
WHERE m.id = chosen.id
RETURNING m.id, m.kind, m.channel, m.recipient_id, m.payload, m.priority, m.attempt, m.attempts_max, m.fence,
          m.outcome_unknown, m.lease_expires_at, m.due_at, m.created_at, m.request_id
