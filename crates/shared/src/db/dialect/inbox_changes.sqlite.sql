WITH present (cursor) AS (
    SELECT CAST(COALESCE(MAX(seq), 0) AS TEXT) FROM sqlite_sequence WHERE name = 'inbox_changes'
)
SELECT p.cursor AS cursor, c.user_id AS user_id, c.notification_id AS notification_id
FROM present AS p
LEFT JOIN inbox_changes AS c ON c.position > CAST({cursor} AS INTEGER)
ORDER BY c.position
LIMIT {limit}
