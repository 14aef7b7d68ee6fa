CREATE TABLE old_idempotency_keys (
    id          TEXT PRIMARY KEY,
    user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key         TEXT NOT NULL,
    -- Of the request, signed: another request under the same key is refused.
    fingerprint TEXT NOT NULL,
    -- The answer; null while the change is being made, which nobody else ever sees.
    status      INTEGER CHECK (status BETWEEN 200 AND 299),
    message     TEXT,
    data        TEXT,
    created_at  TIMESTAMP NOT NULL,
    CONSTRAINT idempotency_keys_one_per_user UNIQUE (user_id, key),
    CONSTRAINT idempotency_keys_whole_answers CHECK (
        (status IS NULL) = (message IS NULL) AND (status IS NULL) = (data IS NULL)
    )
);
INSERT INTO old_idempotency_keys (id, user_id, key, fingerprint, status, message, data, created_at)
SELECT id, user_id, key, fingerprint, status, message, data, created_at FROM idempotency_keys
WHERE user_id IS NOT NULL;
DROP TABLE idempotency_keys;
ALTER TABLE old_idempotency_keys RENAME TO idempotency_keys;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
DROP TABLE service_tokens;
