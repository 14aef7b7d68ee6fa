-- What was captured stays in the outbox.
DELETE FROM notification_routes WHERE kind IN ('member.registered', 'member.updated');
DROP INDEX outbox_pending_of_members;
DROP VIEW member_cards;
DROP TABLE member_labels;
DROP TABLE members;
DROP FUNCTION create_member_triggers();
-- Absent where the triggers could not be made.
DROP FUNCTION IF EXISTS enqueue_registrations();
DROP FUNCTION IF EXISTS enqueue_updates();
DROP FUNCTION IF EXISTS touch_member();
DROP FUNCTION new_id();
