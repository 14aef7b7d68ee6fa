-- What operators set while relays run; the relays look every few seconds.

CREATE TABLE channel_settings (
    channel         TEXT PRIMARY KEY CHECK (channel IN ('wechat_subscribe', 'wechat_cloud', 'wecom_app', 'wecom_robot')),
    -- What becomes of a message that may have been delivered.
    unknown_outcome TEXT NOT NULL CHECK (unknown_outcome IN ('resend', 'hold_for_operator', 'assume_sent')),
    -- Messages in hand at once, per relay. Null: as the relay was started with.
    concurrency     INTEGER CHECK (concurrency BETWEEN 1 AND 4096),
    -- Of all relays together. Null: no limit.
    rate_per_minute INTEGER CHECK (rate_per_minute BETWEEN 1 AND 6000000),
    updated_at      TIMESTAMP NOT NULL
);

-- What an error code means here, instead of what the program says.
CREATE TABLE errcode_overrides (
    api        TEXT NOT NULL,
    errcode    BIGINT NOT NULL,
    class      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (api, errcode)
);
