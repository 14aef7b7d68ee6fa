DROP INDEX customers_for_transfer;
DROP TABLE lead_transfer_records;
DROP TABLE lead_transfer_runs;
DROP TABLE lead_transfer_rule_users;
DROP TABLE lead_transfer_rules;
