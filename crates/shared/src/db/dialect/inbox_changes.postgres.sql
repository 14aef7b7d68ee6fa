WITH present AS (SELECT pg_current_snapshot()::TEXT AS cursor)
SELECT p.cursor, c.user_id, c.notification_id
FROM present AS p
LEFT JOIN inbox_changes AS c
    ON c.position >= pg_snapshot_xmin(CAST({cursor} AS pg_snapshot))::TEXT::BIGINT
    AND NOT pg_visible_in_snapshot(c.position::TEXT::XID8, CAST({cursor} AS pg_snapshot))
ORDER BY c.position
LIMIT {limit}
