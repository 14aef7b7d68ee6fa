-- How a route looks on WeCom, and who gets what is about nobody in particular.

-- The form of a message of a WeCom application or robot.
ALTER TABLE notification_routes ADD COLUMN format TEXT CHECK (format IN ('text', 'textcard', 'markdown'));
-- As the channel knows people: `@all`, user ids joined by `|`, the name of a group.
ALTER TABLE notification_routes ADD COLUMN recipients TEXT CHECK (recipients <> '');
