-- What other modules have told of, through POST /api/events. Kept for a while after it was due, so that
-- a repetition is known as one.
CREATE TABLE events (
    id               TEXT PRIMARY KEY,
    kind             TEXT NOT NULL,
    -- Who told of it: one of the two.
    user_id          TEXT REFERENCES users (id) ON DELETE CASCADE,
    service_token_id TEXT REFERENCES service_tokens (id) ON DELETE CASCADE,
    dedup_key        TEXT,
    due_at           TIMESTAMP NOT NULL,
    expires_at       TIMESTAMP,
    -- What was answered, JSON; null while it is being accepted, which nobody else ever sees.
    receipt          TEXT,
    -- What goes into notification centres when it is due, JSON; null once it is there.
    waiting          TEXT,
    request_id       TEXT,
    created_at       TIMESTAMP NOT NULL,
    CONSTRAINT events_of_somebody CHECK ((user_id IS NULL) <> (service_token_id IS NULL))
);
CREATE UNIQUE INDEX events_by_dedup_key ON events (kind, dedup_key) WHERE dedup_key IS NOT NULL;
CREATE INDEX events_waiting ON events (due_at) WHERE waiting IS NOT NULL;
CREATE INDEX events_by_age ON events (due_at);

-- What became of the messages of an event.
CREATE INDEX outbox_of_events ON outbox_messages (subject) WHERE subject LIKE 'event:%';
