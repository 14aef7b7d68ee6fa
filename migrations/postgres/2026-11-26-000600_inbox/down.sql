DROP INDEX notifications_unread;
CREATE INDEX notifications_unread ON notifications (user_id) WHERE read_at IS NULL;
DROP INDEX notifications_by_user;
CREATE INDEX notifications_by_user ON notifications (user_id, id);
-- Nothing would hide what was deleted.
DELETE FROM notifications WHERE deleted_at IS NOT NULL;
ALTER TABLE notifications DROP COLUMN deleted_at;
DROP TABLE socket_tickets;
DROP TABLE inbox_changes;
