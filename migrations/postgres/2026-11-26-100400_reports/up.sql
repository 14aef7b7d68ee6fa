-- What reports count, and how far work at fixed times has got.

-- Every time that a contract was signed (已签约). It goes with the customer: one that was entered by
-- mistake was never signed either.
CREATE TABLE contract_signings (
    customer_id TEXT COLLATE "C" NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    -- Whose success it is: the owner's of that moment; without one, whoever entered it.
    user_id     TEXT COLLATE "C" REFERENCES users (id),
    signed_at   TIMESTAMP NOT NULL,
    PRIMARY KEY (customer_id, signed_at)
);
CREATE INDEX contract_signings_by_time ON contract_signings (signed_at, user_id);

-- What was signed before is known from the operation log; of customers that were entered as signed,
-- from when they were entered. It counts for the present owner: who it was then is not known.
INSERT INTO contract_signings (customer_id, user_id, signed_at)
SELECT customers.id, coalesce(customers.assigned_to, operation_logs.actor_id), operation_logs.created_at
FROM operation_logs
JOIN customers ON customers.id = operation_logs.entity_id
WHERE operation_logs.entity = 'customer'
    AND operation_logs.action = 'customer.update'
    AND operation_logs.detail LIKE '%"contractStatus":{"from":"%","to":"已签约"}%'
ON CONFLICT DO NOTHING;
INSERT INTO contract_signings (customer_id, user_id, signed_at)
SELECT id, coalesce(assigned_to, created_by), created_at
FROM customers
WHERE contract_status = '已签约' AND id NOT IN (SELECT customer_id FROM contract_signings);

-- All follow-ups of a day, week or month, by who wrote them.
CREATE INDEX follow_ups_by_time ON follow_ups (created_at, author_id);

-- The slot that somebody is at, and how far: whoever takes over goes on from there.
ALTER TABLE schedules ADD COLUMN under_way TIMESTAMP;
ALTER TABLE schedules ADD COLUMN progress TEXT;
