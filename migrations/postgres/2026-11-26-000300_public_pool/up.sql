-- The public pool, and messages that were overtaken before they left.

-- The message that took its place. No reference: that one may be deleted first.
ALTER TABLE outbox_messages ADD COLUMN superseded_by TEXT COLLATE "C";
-- What waits about one customer, to be taken back when the customer goes to somebody else.
CREATE INDEX outbox_pending_by_subject ON outbox_messages (subject) WHERE status = 'pending' AND subject IS NOT NULL;

-- The pool by the time of entry.
CREATE INDEX customers_in_pool ON customers (pool_entered_at, id) WHERE in_public_pool;
-- What entered the pool today, and what left it.
CREATE INDEX assignments_to_nobody ON assignments (created_at) WHERE to_user_id IS NULL;
CREATE INDEX assignments_from_nobody ON assignments (created_at) WHERE from_user_id IS NULL;
