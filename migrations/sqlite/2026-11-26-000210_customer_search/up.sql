-- What the list of customers is sorted by. What it is searched for is compared row by row here.

CREATE INDEX customers_by_update ON customers (updated_at, id);
CREATE INDEX customers_by_activity ON customers (last_activity_at, id);
CREATE INDEX customers_by_assignment ON customers (assigned_at, id);
