-- Leases due messages of one channel to one relay. The parameters and the words are those of
-- claim.postgres.sql; the write transaction keeps other relays away.
WITH due AS MATERIALIZED (
    SELECT found.*, row_number() OVER (PARTITION BY priority ORDER BY due_at) AS place
    FROM (
        SELECT * FROM (
            SELECT id, recipient_id, priority, due_at
            FROM outbox_messages
            WHERE status = 'pending' AND channel = ?1 AND priority = 0 AND due_at <= ?2
              AND (expires_at IS NULL OR expires_at > ?2)
              AND recipient_id NOT IN (SELECT value FROM json_each(?3))
            ORDER BY due_at
            LIMIT ?4
        )
        UNION ALL
        SELECT * FROM (
            SELECT id, recipient_id, priority, due_at
            FROM outbox_messages
            WHERE status = 'pending' AND channel = ?1 AND priority = 1 AND due_at <= ?2
              AND (expires_at IS NULL OR expires_at > ?2)
              AND recipient_id NOT IN (SELECT value FROM json_each(?3))
            ORDER BY due_at
            LIMIT ?5
        )
        UNION ALL
        SELECT * FROM (
            SELECT id, recipient_id, priority, due_at
            FROM outbox_messages
            WHERE status = 'pending' AND channel = ?1 AND priority = 2 AND due_at <= ?2
              AND (expires_at IS NULL OR expires_at > ?2)
              AND recipient_id NOT IN (SELECT value FROM json_each(?3))
            ORDER BY due_at
            LIMIT ?5
        )
    ) AS found
    WHERE ?8 OR NOT EXISTS (SELECT 1 FROM channel_holds WHERE channel = ?1)
),
startable AS (
    SELECT due.*, row_number() OVER (PARTITION BY recipient_id ORDER BY priority, due_at) AS turn
    FROM due
),
ranked AS (
    SELECT id, priority,
           row_number() OVER (
               PARTITION BY priority = 0
               ORDER BY place > ?6, CASE WHEN place > ?6 THEN priority ELSE (priority + ?7) % 3 END, due_at
           ) AS rank_in_class,
           row_number() OVER (
               ORDER BY place > ?6, CASE WHEN place > ?6 THEN priority ELSE (priority + ?7) % 3 END, due_at
           ) AS rank
    FROM startable
    WHERE turn = 1
),
chosen AS (
    SELECT id
    FROM ranked
    WHERE priority = 0 OR rank_in_class <= ?5
    ORDER BY rank
    LIMIT ?4
)
UPDATE outbox_messages
SET status = 'sending',
    attempt = attempt + 1,
    fence = fence + 1,
    claimed_by = ?9,
    lease_expires_at = ?10
FROM chosen
WHERE outbox_messages.id = chosen.id
RETURNING outbox_messages.id, kind, channel, recipient_id, payload, outbox_messages.priority, attempt, attempts_max,
          fence, outcome_unknown, lease_expires_at, due_at, created_at, request_id
