DROP INDEX outbox_sending_with_fallbacks;
DROP INDEX outbox_fallback_of;
ALTER TABLE outbox_messages DROP COLUMN fell_back_to;
ALTER TABLE outbox_messages DROP COLUMN fallback_of;
ALTER TABLE outbox_messages DROP COLUMN fallbacks;
DROP INDEX notification_routes_fallback;
ALTER TABLE notification_routes DROP COLUMN fallback;
