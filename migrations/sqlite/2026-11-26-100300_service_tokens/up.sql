-- Tokens with which other programs use a few endpoints; only their hashes.
CREATE TABLE service_tokens (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    -- SHA-256 of 256 bits of chance.
    hash         TEXT NOT NULL UNIQUE,
    -- What it opens, a JSON list.
    scopes       TEXT NOT NULL,
    created_by   TEXT NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    expires_at   TIMESTAMP,
    -- To the minute.
    last_used_at TIMESTAMP,
    revoked_at   TIMESTAMP
);
-- The name of a revoked one may be given again.
CREATE UNIQUE INDEX service_tokens_by_name ON service_tokens (name) WHERE revoked_at IS NULL;

-- A program repeats requests like a user: one of the two.
CREATE TABLE new_idempotency_keys (
    id               TEXT PRIMARY KEY,
    user_id          TEXT REFERENCES users (id) ON DELETE CASCADE,
    key              TEXT NOT NULL,
    -- Of the request, signed: another request under the same key is refused.
    fingerprint      TEXT NOT NULL,
    -- The answer; null while the change is being made, which nobody else ever sees.
    status           INTEGER CHECK (status BETWEEN 200 AND 299),
    message          TEXT,
    data             TEXT,
    created_at       TIMESTAMP NOT NULL,
    service_token_id TEXT REFERENCES service_tokens (id) ON DELETE CASCADE,
    CONSTRAINT idempotency_keys_one_per_user UNIQUE (user_id, key),
    CONSTRAINT idempotency_keys_whole_answers CHECK (
        (status IS NULL) = (message IS NULL) AND (status IS NULL) = (data IS NULL)
    ),
    CONSTRAINT idempotency_keys_of_somebody CHECK ((user_id IS NULL) <> (service_token_id IS NULL))
);
INSERT INTO new_idempotency_keys (id, user_id, key, fingerprint, status, message, data, created_at)
SELECT id, user_id, key, fingerprint, status, message, data, created_at FROM idempotency_keys;
DROP TABLE idempotency_keys;
ALTER TABLE new_idempotency_keys RENAME TO idempotency_keys;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
CREATE UNIQUE INDEX idempotency_keys_one_per_service_token ON idempotency_keys (service_token_id, key)
WHERE service_token_id IS NOT NULL;
