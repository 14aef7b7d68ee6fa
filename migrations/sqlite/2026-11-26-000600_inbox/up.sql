-- What changed in whose notification centre: read by the processes that have sockets open, kept for
-- minutes. Transactions are committed one after the other, and a position is never given twice: a
-- reader goes on after the last one it has seen.
CREATE TABLE inbox_changes (
    position        INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         TEXT NOT NULL,
    -- The entry that came; none if entries were read or deleted.
    notification_id TEXT,
    changed_at      TIMESTAMP NOT NULL
);

-- One-time tickets with which a page opens a socket; only their hashes.
CREATE TABLE socket_tickets (
    hash          TEXT PRIMARY KEY,
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Of the access token it was asked for with.
    token_epoch   INTEGER NOT NULL,
    token_ends_at TIMESTAMP NOT NULL,
    expires_at    TIMESTAMP NOT NULL
);
CREATE INDEX socket_tickets_by_end ON socket_tickets (expires_at);

-- An entry that its owner has deleted is kept: the audit looks for it.
ALTER TABLE notifications ADD COLUMN deleted_at TIMESTAMP;
DROP INDEX notifications_by_user;
-- Kind and priority are for counting and filtering without a look at the rows.
CREATE INDEX notifications_by_user ON notifications (user_id, id, kind, priority) WHERE deleted_at IS NULL;

-- What is unread is listed newest first. What is deleted counts as read.
DROP INDEX notifications_unread;
CREATE INDEX notifications_unread ON notifications (user_id, id) WHERE read_at IS NULL;
