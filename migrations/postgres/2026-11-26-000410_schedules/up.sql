-- What is done at fixed times, by exactly one of all processes.

CREATE TABLE schedules (
    name       TEXT PRIMARY KEY,
    -- The last time of the timetable that has been seen to.
    last_slot  TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- Work that one process at a time may do. A holder that has not renewed it in time has lost it.
CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    -- New with every acquisition.
    holder     TEXT NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
