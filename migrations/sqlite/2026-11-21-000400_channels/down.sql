DROP TABLE errcode_overrides;
DROP TABLE channel_settings;
