-- Who has sent the form of the website within the last hour, so that the limits hold across
-- processes.

CREATE TABLE website_lead_requests (
    id        TEXT PRIMARY KEY,
    -- The client's address; of a version 6 address the network.
    client    TEXT NOT NULL,
    asked_at  TIMESTAMP NOT NULL
);
CREATE INDEX website_lead_requests_by_time ON website_lead_requests (asked_at, client);
