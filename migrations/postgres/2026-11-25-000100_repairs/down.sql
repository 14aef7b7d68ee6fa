DROP INDEX outbox_skipped;
DROP INDEX outbox_failed;
DROP TABLE repaired_messages;
DROP TABLE repairs;
