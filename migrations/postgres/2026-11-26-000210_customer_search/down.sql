DROP INDEX customers_by_term;
DROP FUNCTION customer_terms;
DROP INDEX customers_by_assignment;
DROP INDEX customers_by_activity;
DROP INDEX customers_by_update;
