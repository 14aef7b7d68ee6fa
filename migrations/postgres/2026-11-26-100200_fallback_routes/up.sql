-- Fallbacks: the channel on which a message goes on if its recipient cannot be reached on its own.

-- Which channel takes over from the route's. A channel takes over from one at most: who is told on
-- two that fail would be told twice on the third.
ALTER TABLE notification_routes ADD COLUMN fallback TEXT CHECK (
    fallback IN ('wechat_subscribe', 'wechat_cloud', 'wecom_app', 'wecom_robot') AND fallback <> channel
);
CREATE UNIQUE INDEX notification_routes_fallback ON notification_routes (kind, fallback) WHERE fallback IS NOT NULL;

-- The channels that are left for a message, in order, joined by commas: as they were when it was
-- enqueued, so that a route that is changed meanwhile tells nobody twice.
ALTER TABLE outbox_messages ADD COLUMN fallbacks TEXT;
-- The message it took over from, and the one that took over from it. No references: either may be
-- deleted first.
ALTER TABLE outbox_messages ADD COLUMN fallback_of TEXT COLLATE "C";
ALTER TABLE outbox_messages ADD COLUMN fell_back_to TEXT COLLATE "C";
-- One message takes over from another, and never two.
CREATE UNIQUE INDEX outbox_fallback_of ON outbox_messages (fallback_of) WHERE fallback_of IS NOT NULL;
-- What is under way about one customer and would go on, for whoever makes it untrue meanwhile.
CREATE INDEX outbox_sending_with_fallbacks ON outbox_messages (subject)
    WHERE status = 'sending' AND fallbacks IS NOT NULL;
