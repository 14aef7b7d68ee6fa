-- What staff want to be told outside of the notification centre, and when (JSON).

CREATE TABLE notification_preferences (
    user_id     TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    preferences TEXT NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
