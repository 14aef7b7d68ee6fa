DROP TABLE leases;
DROP TABLE schedules;
