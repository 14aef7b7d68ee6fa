-- Leads, and the history of who owned them.

CREATE TABLE customers (
    id                    TEXT COLLATE "C" PRIMARY KEY,
    -- The human number: CUS and eleven digits.
    number                TEXT NOT NULL UNIQUE,
    name                  TEXT NOT NULL,
    phone                 TEXT UNIQUE,
    wechat_id             TEXT UNIQUE,
    lead_source           TEXT NOT NULL,
    service_category      TEXT,
    lead_level            TEXT,
    contract_status       TEXT NOT NULL,
    remarks               TEXT,
    assigned_to           TEXT COLLATE "C" REFERENCES users (id),
    assigned_by           TEXT COLLATE "C" REFERENCES users (id),
    assigned_at           TIMESTAMP,
    assignment_reason     TEXT,
    in_public_pool        BOOLEAN NOT NULL DEFAULT FALSE,
    pool_entered_at       TIMESTAMP,
    pool_reason           TEXT,
    claim_count           INTEGER NOT NULL DEFAULT 0,
    last_activity_at      TIMESTAMP NOT NULL,
    last_follow_up_at     TIMESTAMP,
    transfer_count        INTEGER NOT NULL DEFAULT 0,
    last_transferred_at   TIMESTAMP,
    auto_transfer_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    frozen                BOOLEAN NOT NULL DEFAULT FALSE,
    frozen_by             TEXT COLLATE "C" REFERENCES users (id),
    frozen_at             TIMESTAMP,
    frozen_reason         TEXT,
    created_by            TEXT COLLATE "C" REFERENCES users (id),
    created_at            TIMESTAMP NOT NULL,
    updated_at            TIMESTAMP NOT NULL,
    version               INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT customers_can_be_reached CHECK (phone IS NOT NULL OR wechat_id IS NOT NULL),
    -- A pooled lead belongs to nobody.
    CONSTRAINT customers_pooled_or_owned CHECK (NOT in_public_pool OR assigned_to IS NULL)
);
CREATE INDEX customers_by_owner ON customers (assigned_to, created_at);
CREATE INDEX customers_by_creator ON customers (created_by, created_at);
CREATE INDEX customers_by_creation ON customers (created_at, id);

CREATE TABLE assignments (
    id            TEXT COLLATE "C" PRIMARY KEY,
    customer_id   TEXT COLLATE "C" NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    from_user_id  TEXT COLLATE "C" REFERENCES users (id),
    to_user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    assigned_by   TEXT COLLATE "C" REFERENCES users (id),
    -- Through which entrance: single, miniprogram, batch, pool, create.
    entrance      TEXT NOT NULL,
    reason        TEXT,
    request_id    TEXT,
    created_at    TIMESTAMP NOT NULL
);
CREATE INDEX assignments_by_customer ON assignments (customer_id, id);

-- Who did what. Written in the transaction that does it.
CREATE TABLE operation_logs (
    id          TEXT COLLATE "C" PRIMARY KEY,
    -- Null: the system itself.
    actor_id    TEXT COLLATE "C" REFERENCES users (id),
    action      TEXT NOT NULL,
    entity      TEXT NOT NULL,
    entity_id   TEXT NOT NULL,
    detail      TEXT NOT NULL,
    request_id  TEXT,
    created_at  TIMESTAMP NOT NULL
);
CREATE INDEX operation_logs_by_entity ON operation_logs (entity, entity_id, id);
