-- What was captured stays in the outbox.
DELETE FROM notification_routes WHERE kind IN ('member.registered', 'member.updated');
DROP TRIGGER members_touched;
DROP TRIGGER members_updated;
DROP TRIGGER members_inserted;
DROP TRIGGER member_changes_enqueued;
DROP VIEW member_changes;
DROP TRIGGER member_news_enqueued;
DROP VIEW member_news;
DROP INDEX outbox_pending_of_members;
DROP VIEW member_cards;
DROP TABLE member_labels;
DROP TABLE members;
