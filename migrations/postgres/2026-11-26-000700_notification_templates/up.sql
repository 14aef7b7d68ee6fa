-- The words in which things are told, where somebody wants them otherwise than the program has them.

CREATE TABLE notification_templates (
    kind       TEXT PRIMARY KEY,
    -- Null: as the program has it, also after an upgrade that has it otherwise.
    title      TEXT,
    content    TEXT,
    priority   TEXT CHECK (priority IN ('high', 'medium', 'low')),
    link       TEXT,
    button     TEXT,
    -- How often it was edited.
    version    INTEGER NOT NULL DEFAULT 0 CHECK (version >= 0),
    updated_by TEXT COLLATE "C" REFERENCES users (id),
    updated_at TIMESTAMP
);
INSERT INTO notification_templates (kind) VALUES
    ('customer.created'),
    ('customer.assigned'),
    ('customer.batch_assigned'),
    ('customer.assigned_from_pool'),
    ('customer.transferred_away'),
    ('customer.reclaimed'),
    ('customer.status_changed'),
    ('customer.follow_up_due'),
    ('customer.follow_up_added'),
    ('lead.auto_transfer_out'),
    ('lead.auto_transfer_in'),
    ('resume.created'),
    ('resume.assigned'),
    ('resume.status_changed'),
    ('resume.order_status_changed'),
    ('resume.follow_up_due'),
    ('contract.created'),
    ('contract.signed'),
    ('contract.worker_changed'),
    ('contract.expiring_soon'),
    ('contract.status_changed'),
    ('report.daily_personal'),
    ('report.daily_team'),
    ('report.weekly'),
    ('report.monthly'),
    ('member.registered'),
    ('member.updated'),
    ('system.announcement');
