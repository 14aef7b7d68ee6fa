-- What there is to do, a row for each matter: a channel on which something is due, leases that are
-- over, messages that have expired, messages whose recipient may be disturbed again.
--
-- Each priority is looked up by itself, and only its first row, so that a million messages that are
-- not due yet are not read.
SELECT channel AS matter
FROM (
    SELECT 'wechat_subscribe' AS channel
    UNION ALL SELECT 'wechat_cloud'
    UNION ALL SELECT 'wecom_app'
    UNION ALL SELECT 'wecom_robot'
) AS channels
WHERE coalesce(
    (SELECT 1 FROM outbox_messages AS m
     WHERE m.status = 'pending' AND m.channel = channels.channel AND m.priority = 0 AND m.due_at <= {due_until} LIMIT 1),
    (SELECT 1 FROM outbox_messages AS m
     WHERE m.status = 'pending' AND m.channel = channels.channel AND m.priority = 1 AND m.due_at <= {due_until} LIMIT 1),
    (SELECT 1 FROM outbox_messages AS m
     WHERE m.status = 'pending' AND m.channel = channels.channel AND m.priority = 2 AND m.due_at <= {due_until} LIMIT 1)
) IS NOT NULL
UNION ALL
SELECT 'leases'
WHERE (
    SELECT 1 FROM outbox_messages
    WHERE status = 'sending'
      AND (lease_expires_at <= {now}
           OR claimed_by NOT IN (SELECT name FROM relays WHERE heartbeat_at > {silent_since}))
    LIMIT 1
) IS NOT NULL
UNION ALL
SELECT 'expired'
WHERE (
    SELECT 1 FROM outbox_messages
    WHERE status = 'pending' AND expires_at <= {now}
    LIMIT 1
) IS NOT NULL
UNION ALL
SELECT 'quiet'
WHERE (
    SELECT 1 FROM outbox_messages
    WHERE status = 'pending' AND quiet_until IS NOT NULL AND due_at <= {due_until}
    LIMIT 1
) IS NOT NULL
