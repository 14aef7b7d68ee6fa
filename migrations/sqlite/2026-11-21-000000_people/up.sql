-- Who works with the CRM, and who they are on the platforms.

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    username      TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    name          TEXT NOT NULL,
    phone         TEXT,
    role          TEXT NOT NULL CHECK (role IN ('admin', 'manager', 'operator', 'dispatch', 'employee')),
    department    TEXT,
    active        BOOLEAN NOT NULL DEFAULT TRUE,
    -- Raised by logout: tokens of an earlier epoch are no longer accepted.
    token_epoch   INTEGER NOT NULL DEFAULT 0,
    created_at    TIMESTAMP NOT NULL,
    updated_at    TIMESTAMP NOT NULL
);

-- Failed logins, kept here so that the limit holds across processes and restarts.
CREATE TABLE login_failures (
    id         TEXT PRIMARY KEY,
    username   TEXT NOT NULL,
    failed_at  TIMESTAMP NOT NULL
);
CREATE INDEX login_failures_by_username ON login_failures (username, failed_at);

-- A user's identity in one application. Never one column for two applications.
CREATE TABLE bindings (
    id          TEXT PRIMARY KEY,
    user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    app         TEXT NOT NULL,
    external_id TEXT NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL,
    CONSTRAINT bindings_one_per_user_and_app UNIQUE (user_id, app),
    CONSTRAINT bindings_one_user_per_identity UNIQUE (app, external_id)
);
