DROP TABLE operation_logs;
DROP TABLE assignments;
DROP TABLE customers;
