-- The in-app notification centre, and which kinds go out on which channels.

CREATE TABLE notifications (
    id         TEXT COLLATE "C" PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    title      TEXT NOT NULL,
    content    TEXT NOT NULL,
    priority   TEXT NOT NULL CHECK (priority IN ('high', 'medium', 'low')),
    link       TEXT,
    data       TEXT NOT NULL,
    read_at    TIMESTAMP,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX notifications_by_user ON notifications (user_id, id);
CREATE INDEX notifications_unread ON notifications (user_id) WHERE read_at IS NULL;

CREATE TABLE notification_routes (
    kind        TEXT NOT NULL,
    channel     TEXT NOT NULL CHECK (channel IN ('wechat_subscribe', 'wechat_cloud', 'wecom_app', 'wecom_robot')),
    enabled     BOOLEAN NOT NULL DEFAULT TRUE,
    -- Subscribe messages: which template, which page the card opens, which field shows what (JSON).
    template_id TEXT,
    page        TEXT,
    fields      TEXT NOT NULL DEFAULT '{}',
    updated_at  TIMESTAMP NOT NULL,
    PRIMARY KEY (kind, channel)
);
