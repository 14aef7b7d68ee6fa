ALTER TABLE schedules DROP COLUMN progress;
ALTER TABLE schedules DROP COLUMN under_way;
DROP INDEX follow_ups_by_time;
DROP TABLE contract_signings;
