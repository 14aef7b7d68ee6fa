-- Files of customers: what became of each.

CREATE TABLE imports (
    id            TEXT COLLATE "C" PRIMARY KEY,
    -- Who sent the file.
    user_id       TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    invalid_rows  TEXT NOT NULL CHECK (invalid_rows IN ('refuse', 'skip')),
    state         TEXT NOT NULL CHECK (state IN ('validating', 'writing', 'done', 'failed')),
    -- Why it failed.
    failure       TEXT CHECK (failure IN ('invalid_rows', 'interrupted', 'unavailable', 'internal')),
    total         INTEGER NOT NULL CHECK (total >= 0),
    imported      INTEGER NOT NULL DEFAULT 0 CHECK (imported BETWEEN 0 AND total),
    invalid       INTEGER NOT NULL DEFAULT 0 CHECK (invalid BETWEEN 0 AND total),
    -- The faults of the rows, the first of them (JSON), and how many there are in all.
    faults        TEXT NOT NULL DEFAULT '[]',
    fault_count   INTEGER NOT NULL DEFAULT 0 CHECK (fault_count >= 0),
    request_id    TEXT,
    created_at    TIMESTAMP NOT NULL,
    -- When the process that works on it was last heard of.
    alive_at      TIMESTAMP NOT NULL,
    finished_at   TIMESTAMP,
    CONSTRAINT imports_finished_in_a_final_state CHECK ((state IN ('done', 'failed')) = (finished_at IS NOT NULL)),
    CONSTRAINT imports_failed_for_a_reason CHECK ((state = 'failed') = (failure IS NOT NULL)),
    -- All or nothing: only what is done has left customers behind.
    CONSTRAINT imports_imported_when_done CHECK (state = 'done' OR imported = 0)
);
CREATE INDEX imports_by_age ON imports (created_at);
