-- The outbox: one row is one message to one recipient on one channel.

CREATE TABLE outbox_messages (
    id                  TEXT PRIMARY KEY,
    kind                TEXT NOT NULL,
    channel             TEXT NOT NULL CHECK (channel IN ('wechat_subscribe', 'wechat_cloud', 'wecom_app', 'wecom_robot')),
    recipient_id        TEXT NOT NULL,
    subject             TEXT,
    dedup_key           TEXT,
    payload             TEXT NOT NULL,
    status              TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'skipped', 'cancelled')),
    -- 0 is taken first.
    priority            SMALLINT NOT NULL CHECK (priority BETWEEN 0 AND 2),
    attempt             INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    attempts_max        INTEGER NOT NULL CHECK (attempts_max >= 1),
    -- Raised by every claim and never lowered: a settlement of an earlier lease cannot match.
    fence               BIGINT NOT NULL DEFAULT 0 CHECK (fence >= attempt),
    -- How often a lease ended without a settlement since the last one that had one.
    rescues             INTEGER NOT NULL DEFAULT 0 CHECK (rescues >= 0),
    due_at              TIMESTAMP NOT NULL,
    expires_at          TIMESTAMP,
    claimed_by          TEXT,
    lease_expires_at    TIMESTAMP,
    outcome_unknown     BOOLEAN NOT NULL DEFAULT FALSE,
    last_errcode        BIGINT,
    last_error          TEXT,
    provider_message_id TEXT,
    request_id          TEXT,
    created_at          TIMESTAMP NOT NULL,
    sent_at             TIMESTAMP,
    finished_at         TIMESTAMP,
    delivered_at        TIMESTAMP,
    delivery_error      TEXT,
    CONSTRAINT outbox_lease_only_while_sending CHECK (
        (status = 'sending') = (claimed_by IS NOT NULL) AND (status = 'sending') = (lease_expires_at IS NOT NULL)
    ),
    CONSTRAINT outbox_finished_in_final_states CHECK (
        (status IN ('sent', 'failed', 'skipped', 'cancelled')) = (finished_at IS NOT NULL)
    ),
    CONSTRAINT outbox_sent_at_when_sent CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT outbox_pending_has_attempts_left CHECK (status <> 'pending' OR attempt < attempts_max),
    CONSTRAINT outbox_delivered_only_when_sent CHECK (
        status = 'sent' OR (delivered_at IS NULL AND delivery_error IS NULL)
    )
);
CREATE INDEX outbox_due ON outbox_messages (channel, priority, due_at) WHERE status = 'pending';
CREATE INDEX outbox_expiring ON outbox_messages (expires_at) WHERE status = 'pending' AND expires_at IS NOT NULL;
CREATE INDEX outbox_leases ON outbox_messages (lease_expires_at) WHERE status = 'sending';
CREATE INDEX outbox_finished ON outbox_messages (status, finished_at) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX outbox_dedup_key ON outbox_messages (dedup_key) WHERE dedup_key IS NOT NULL;

-- Every attempt that did not simply succeed. A success is on the row itself.
CREATE TABLE outbox_attempts (
    id          TEXT PRIMARY KEY,
    message_id  TEXT NOT NULL REFERENCES outbox_messages (id) ON DELETE CASCADE,
    attempt     INTEGER NOT NULL,
    fence       BIGINT NOT NULL,
    relay       TEXT NOT NULL,
    started_at  TIMESTAMP NOT NULL,
    duration_ms BIGINT NOT NULL,
    verdict     TEXT NOT NULL,
    rule        TEXT NOT NULL,
    http_status INTEGER,
    errcode     BIGINT,
    errmsg      TEXT
);
CREATE INDEX outbox_attempts_by_message ON outbox_attempts (message_id, id);

-- A channel on which nothing is claimed, with the reason. Deleted when a message gets through.
CREATE TABLE channel_holds (
    channel    TEXT PRIMARY KEY CHECK (channel IN ('wechat_subscribe', 'wechat_cloud', 'wecom_app', 'wecom_robot')),
    -- Who may lift it: an operator's hold is lifted by a person alone.
    cause      TEXT NOT NULL CHECK (cause IN ('operator', 'platform', 'breaker')),
    reason     TEXT NOT NULL,
    errcode    BIGINT,
    -- From then on one message at a time is let through as a probe. Null: until somebody lifts it.
    probe_at   TIMESTAMP,
    held_by    TEXT NOT NULL,
    held_since TIMESTAMP NOT NULL
);

-- Which relays are alive: each renews its row every second.
CREATE TABLE relays (
    name         TEXT PRIMARY KEY,
    version      TEXT NOT NULL,
    started_at   TIMESTAMP NOT NULL,
    heartbeat_at TIMESTAMP NOT NULL,
    in_flight    INTEGER NOT NULL
);
