DROP INDEX outbox_of_events;
DROP TABLE events;
