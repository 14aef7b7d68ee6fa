-- What changed in whose notification centre: read by the processes that have sockets open, kept for
-- minutes. The position is the transaction that wrote the row, so that a reader can tell what was
-- committed since it last looked, whichever transaction began first.
CREATE TABLE inbox_changes (
    position        BIGINT NOT NULL DEFAULT (pg_current_xact_id()::TEXT::BIGINT),
    user_id         TEXT COLLATE "C" NOT NULL,
    -- The entry that came; none if entries were read or deleted.
    notification_id TEXT COLLATE "C",
    changed_at      TIMESTAMP NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX inbox_changes_by_position ON inbox_changes (position);

-- One-time tickets with which a page opens a socket; only their hashes.
CREATE TABLE socket_tickets (
    hash          TEXT COLLATE "C" PRIMARY KEY,
    user_id       TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
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
