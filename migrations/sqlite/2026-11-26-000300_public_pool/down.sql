DROP INDEX assignments_from_nobody;
DROP INDEX assignments_to_nobody;
DROP INDEX customers_in_pool;
DROP INDEX outbox_pending_by_subject;
ALTER TABLE outbox_messages DROP COLUMN superseded_by;
