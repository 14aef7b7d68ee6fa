-- What waited for the end of somebody's do-not-disturb goes out as one message: a digest.

-- Until when the recipient does not want to be disturbed, while a message waits for that alone. No relay
-- claims it before it was seen whether others wait with it.
ALTER TABLE outbox_messages ADD COLUMN quiet_until TIMESTAMP;
-- The digest that tells of it in its place. No reference: it would make every deletion search here.
ALTER TABLE outbox_messages ADD COLUMN digest_id TEXT
    CONSTRAINT outbox_digest_takes_its_place CHECK (digest_id IS NULL OR status = 'skipped');

CREATE INDEX outbox_quiet ON outbox_messages (due_at) WHERE status = 'pending' AND quiet_until IS NOT NULL;
CREATE INDEX outbox_quiet_by_recipient ON outbox_messages (channel, recipient_id)
    WHERE status = 'pending' AND quiet_until IS NOT NULL;
CREATE INDEX outbox_digest_members ON outbox_messages (digest_id) WHERE digest_id IS NOT NULL;

-- What waits about one customer, also if it waits in a digest.
CREATE INDEX outbox_waiting_by_subject ON outbox_messages (subject)
    WHERE subject IS NOT NULL AND (status = 'pending' OR digest_id IS NOT NULL);
DROP INDEX outbox_pending_by_subject;

INSERT INTO notification_templates (kind) VALUES ('system.digest');
-- Where a digest needs no template of the platform's, it can go out at once.
INSERT INTO notification_routes (kind, channel, enabled, updated_at)
SELECT 'system.digest', channel, TRUE, replace(strftime('%Y-%m-%d %H:%M:%f', 'now'), '.000', '')
FROM (SELECT 'wechat_cloud' AS channel UNION ALL SELECT 'wecom_app') AS channels
WHERE TRUE
ON CONFLICT (kind, channel) DO NOTHING;
