-- Leads that move on by rule (线索自动流转): the rules, whom they take from and give to, the runs, and what
-- each run moved.

CREATE TABLE lead_transfer_rules (
    id                TEXT PRIMARY KEY,
    name              TEXT NOT NULL,
    enabled           BOOLEAN NOT NULL,
    inactive_hours    INTEGER NOT NULL CHECK (inactive_hours >= 1),
    cooldown_hours    INTEGER NOT NULL CHECK (cooldown_hours >= 0),
    -- 0: no limit.
    transfers_max     INTEGER NOT NULL CHECK (transfers_max >= 0),
    -- Lists (JSON). An empty one stands for every status, and for every source but referrals.
    contract_statuses TEXT NOT NULL,
    lead_sources      TEXT NOT NULL,
    -- Days (2026-01-02) in the configured zone, both included.
    created_from      TEXT,
    created_until     TEXT,
    window_enabled    BOOLEAN NOT NULL,
    -- Times of day (09:30) in the configured zone; the end may come before the start.
    window_start      TEXT NOT NULL,
    window_end        TEXT NOT NULL,
    strategy          TEXT NOT NULL CHECK (strategy IN ('balanced', 'round_robin')),
    -- How many runs have moved leads by it: whom chance prefers changes with it.
    round             INTEGER NOT NULL DEFAULT 0,
    -- Who was given the last one: round robin goes on behind them.
    last_receiver_id  TEXT REFERENCES users (id),
    created_by        TEXT REFERENCES users (id),
    created_at        TIMESTAMP NOT NULL,
    updated_at        TIMESTAMP NOT NULL,
    version           INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT lead_transfer_rules_one_per_name UNIQUE (name),
    CONSTRAINT lead_transfer_rules_window_has_length CHECK (window_start <> window_end)
);

-- Who takes part. Whoever is taken out of a rule keeps the row, and with it the counters.
CREATE TABLE lead_transfer_rule_users (
    rule_id   TEXT NOT NULL REFERENCES lead_transfer_rules (id) ON DELETE CASCADE,
    user_id   TEXT NOT NULL REFERENCES users (id),
    is_source BOOLEAN NOT NULL,
    is_target BOOLEAN NOT NULL,
    -- The place among the users of the rule.
    position  INTEGER NOT NULL,
    out_count INTEGER NOT NULL DEFAULT 0,
    in_count  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (rule_id, user_id)
);
CREATE INDEX lead_transfer_rule_users_by_user ON lead_transfer_rule_users (user_id);

CREATE TABLE lead_transfer_runs (
    id          TEXT PRIMARY KEY,
    origin      TEXT NOT NULL CHECK (origin IN ('schedule', 'manual')),
    -- The hour a scheduled run is for. No hour has two.
    slot        TIMESTAMP,
    -- Only this rule; it may be deleted later.
    rule_id     TEXT,
    -- The most leads of each rule; without, all.
    leads_max   INTEGER CHECK (leads_max >= 1),
    -- The moment by which conditions and windows are judged.
    as_of       TIMESTAMP NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('waiting', 'running', 'finished', 'failed')),
    moved       INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    error       TEXT,
    started_by  TEXT REFERENCES users (id),
    request_id  TEXT NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    CONSTRAINT lead_transfer_runs_one_per_slot UNIQUE (slot),
    CONSTRAINT lead_transfer_runs_scheduled_have_a_slot CHECK ((origin = 'schedule') = (slot IS NOT NULL)),
    CONSTRAINT lead_transfer_runs_end CHECK ((finished_at IS NOT NULL) = (status IN ('finished', 'failed')))
);
CREATE INDEX lead_transfer_runs_unfinished ON lead_transfer_runs (id) WHERE finished_at IS NULL;

CREATE TABLE lead_transfer_records (
    id           TEXT PRIMARY KEY,
    run_id       TEXT NOT NULL REFERENCES lead_transfer_runs (id),
    -- The rule may be deleted; what it was called stays.
    rule_id      TEXT NOT NULL,
    rule_name    TEXT NOT NULL,
    customer_id  TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    from_user_id TEXT NOT NULL REFERENCES users (id),
    to_user_id   TEXT NOT NULL REFERENCES users (id),
    created_at   TIMESTAMP NOT NULL
);
CREATE INDEX lead_transfer_records_by_run ON lead_transfer_records (run_id, id);
CREATE INDEX lead_transfer_records_by_rule ON lead_transfer_records (rule_id, id);
CREATE INDEX lead_transfer_records_by_customer ON lead_transfer_records (customer_id, id);
CREATE INDEX lead_transfer_records_by_giver ON lead_transfer_records (from_user_id, id);
CREATE INDEX lead_transfer_records_by_receiver ON lead_transfer_records (to_user_id, id);

-- Leads that may move on, those that nobody has touched for longest first.
CREATE INDEX customers_for_transfer ON customers (assigned_to, last_activity_at, id)
    WHERE NOT in_public_pool AND NOT frozen AND auto_transfer_enabled;
