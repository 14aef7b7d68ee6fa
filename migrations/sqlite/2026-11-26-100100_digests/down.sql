-- Whatever a digest has not told yet is told message by message.
UPDATE outbox_messages
SET status = 'pending', finished_at = NULL, digest_id = NULL, last_error = NULL
WHERE digest_id IN (SELECT id FROM outbox_messages WHERE kind = 'system.digest' AND status <> 'sent');
DELETE FROM outbox_messages WHERE kind = 'system.digest' AND status <> 'sent';

DELETE FROM notification_routes WHERE kind = 'system.digest';
DELETE FROM notification_templates WHERE kind = 'system.digest';

CREATE INDEX outbox_pending_by_subject ON outbox_messages (subject) WHERE status = 'pending' AND subject IS NOT NULL;
DROP INDEX outbox_waiting_by_subject;
DROP INDEX outbox_digest_members;
DROP INDEX outbox_quiet_by_recipient;
DROP INDEX outbox_quiet;
ALTER TABLE outbox_messages DROP COLUMN digest_id;
ALTER TABLE outbox_messages DROP COLUMN quiet_until;
