-- Tokens with which other programs use a few endpoints; only their hashes.
CREATE TABLE service_tokens (
    id           TEXT COLLATE "C" PRIMARY KEY,
    name         TEXT NOT NULL,
    -- SHA-256 of 256 bits of chance.
    hash         TEXT COLLATE "C" NOT NULL UNIQUE,
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
ALTER TABLE idempotency_keys ALTER COLUMN user_id DROP NOT NULL;
ALTER TABLE idempotency_keys
    ADD COLUMN service_token_id TEXT COLLATE "C" REFERENCES service_tokens (id) ON DELETE CASCADE;
ALTER TABLE idempotency_keys
    ADD CONSTRAINT idempotency_keys_of_somebody CHECK ((user_id IS NULL) <> (service_token_id IS NULL));
CREATE UNIQUE INDEX idempotency_keys_one_per_service_token ON idempotency_keys (service_token_id, key)
WHERE service_token_id IS NOT NULL;
