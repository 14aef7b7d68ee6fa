ALTER TABLE notification_routes DROP COLUMN recipients;
ALTER TABLE notification_routes DROP COLUMN format;
