-- What operators did to messages, and how each was before, so that it can be undone for a while.

CREATE TABLE repairs (
    id         TEXT PRIMARY KEY,
    act        TEXT NOT NULL CHECK (act IN ('requeue', 'cancel', 'edit')),
    reason     TEXT NOT NULL,
    -- The filter, if it was for all that match one (JSON).
    matching   TEXT,
    -- Who: a user, or somebody at a command line.
    actor_id   TEXT REFERENCES users (id),
    console    TEXT,
    request_id TEXT,
    changed    BIGINT NOT NULL DEFAULT 0 CHECK (changed >= 0),
    undone     BIGINT NOT NULL DEFAULT 0 CHECK (undone BETWEEN 0 AND changed),
    created_at TIMESTAMP NOT NULL,
    -- When its last batch was written; the time to undo it counts from here.
    changed_at TIMESTAMP NOT NULL,
    undone_at  TIMESTAMP
);
CREATE INDEX repairs_by_change ON repairs (changed_at);

-- No reference to the message: it would make every deletion of a message search here.
CREATE TABLE repaired_messages (
    repair_id           TEXT NOT NULL REFERENCES repairs (id) ON DELETE CASCADE,
    message_id          TEXT NOT NULL,
    changed_at          TIMESTAMP NOT NULL,
    fence               BIGINT NOT NULL,
    status_before       TEXT NOT NULL,
    attempts_max_before INTEGER NOT NULL,
    rescues_before      INTEGER NOT NULL,
    due_at_before       TIMESTAMP NOT NULL,
    expires_at_before   TIMESTAMP,
    finished_at_before  TIMESTAMP,
    -- Only where the payload was edited.
    payload_before      TEXT,
    undo_outcome        TEXT CHECK (undo_outcome IN ('undone', 'moved')),
    PRIMARY KEY (repair_id, message_id)
);

-- Dead letters are few among many rows, and asked for often.
CREATE INDEX outbox_failed ON outbox_messages (finished_at) WHERE status = 'failed';
CREATE INDEX outbox_skipped ON outbox_messages (finished_at) WHERE status = 'skipped';
