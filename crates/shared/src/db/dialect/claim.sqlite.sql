-- The due messages of one channel; claim.sql goes on from here. The parameters and the words are those
-- of claim.postgres.sql. The write transaction keeps other relays away, and each priority is written
-- out because there is no LATERAL.
WITH due AS MATERIALIZED (
    SELECT found.*, row_number() OVER (PARTITION BY priority ORDER BY due_at) AS place
    FROM (
        SELECT * FROM (
            SELECT id, recipient_id, priority, due_at
            FROM outbox_messages
            WHERE status = 'pending' AND channel = {channel} AND priority = 0 AND due_at <= {now}
              AND quiet_until IS NULL
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
              AND quiet_until IS NULL
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
              AND quiet_until IS NULL
              AND (expires_at IS NULL OR expires_at > {now})
              AND recipient_id NOT IN (SELECT value FROM json_each({busy_recipients}))
            ORDER BY due_at
            LIMIT {limit_below_high}
        )
    ) AS found
    WHERE {may_be_held} OR NOT EXISTS (SELECT 1 FROM channel_holds WHERE channel = {channel})
),
