-- Every message leaves two dead rows behind within a second, in a table that keeps a week of finished
-- ones. By the server's defaults it is cleaned up when a fifth of all rows is dead, which is tens of
-- millions in a busy installation; until then claims walk over them.
ALTER TABLE outbox_messages SET (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.02
);
-- Renewed by each relay every second: kept within a page or two.
ALTER TABLE relays SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
