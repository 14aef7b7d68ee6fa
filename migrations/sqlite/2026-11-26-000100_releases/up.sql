-- The history of a lead has also the releases into the public pool: nobody has it then.
-- This database cannot take a NOT NULL away from a column, so the table is made anew.

CREATE TABLE assignments_new (
    id            TEXT PRIMARY KEY,
    customer_id   TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    from_user_id  TEXT REFERENCES users (id),
    to_user_id    TEXT REFERENCES users (id),
    assigned_by   TEXT REFERENCES users (id),
    -- Through which entrance: single, miniprogram, batch, pool, create and so on.
    entrance      TEXT NOT NULL,
    reason        TEXT,
    request_id    TEXT,
    created_at    TIMESTAMP NOT NULL
);
INSERT INTO assignments_new
SELECT id, customer_id, from_user_id, to_user_id, assigned_by, entrance, reason, request_id, created_at
FROM assignments;
DROP TABLE assignments;
ALTER TABLE assignments_new RENAME TO assignments;
CREATE INDEX assignments_by_customer ON assignments (customer_id, id);
