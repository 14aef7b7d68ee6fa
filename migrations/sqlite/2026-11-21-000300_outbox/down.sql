DROP TABLE relays;
DROP TABLE channel_holds;
DROP TABLE outbox_attempts;
DROP TABLE outbox_messages;
