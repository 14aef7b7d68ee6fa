-- The due messages of one channel, locked; claim.sql goes on from here.
--
-- limit               messages at most
-- limit_below_high    of them, those that are not of the highest priority
-- share, rotation     so many of each priority come first, beginning with which
-- may_be_held         whether a hold on the channel is passed over, for a probe
--
-- Each priority is looked up by itself, so that a million rows of one that are not due yet are not
-- read on the way to the next. Rows that another relay has locked are passed over, not waited for. What
-- waited for the end of a do-not-disturb is first looked at together: see quiet.rs.
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
          AND quiet_until IS NULL
          AND (expires_at IS NULL OR expires_at > {now})
          -- Looked up in a hash table: an array would be read through for each row.
          AND recipient_id NOT IN (SELECT unnest({busy_recipients}))
        ORDER BY due_at
        LIMIT wanted.most
        FOR UPDATE SKIP LOCKED
    ) AS found
    WHERE {may_be_held} OR NOT EXISTS (SELECT FROM channel_holds WHERE channel = {channel})
),
