-- What was said and done with a customer.

CREATE TABLE follow_ups (
    id                TEXT PRIMARY KEY,
    customer_id       TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    author_id         TEXT NOT NULL REFERENCES users (id),
    -- Null: whoever wrote it did not say.
    kind              TEXT CHECK (kind IN ('电话', '微信', '到店', '面谈', '其他')),
    content           TEXT NOT NULL,
    next_follow_up_at TIMESTAMP,
    request_id        TEXT,
    created_at        TIMESTAMP NOT NULL
);
CREATE INDEX follow_ups_by_customer ON follow_ups (customer_id, id);
CREATE INDEX follow_ups_by_author ON follow_ups (author_id, created_at);
