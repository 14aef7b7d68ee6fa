DROP TABLE notification_routes;
DROP TABLE notifications;
