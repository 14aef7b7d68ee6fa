-- What changing requests with an Idempotency-Key were answered, to be answered again for a day.
-- Written in the transaction of the change.

CREATE TABLE idempotency_keys (
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
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
