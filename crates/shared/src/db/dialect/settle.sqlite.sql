-- Ends one lease of a relay, if the relay still holds it under that fence.
UPDATE outbox_messages SET
    status = ?1,
    attempt = attempt - ?2,
    due_at = coalesce(?3, due_at),
    outcome_unknown = coalesce(?4, outcome_unknown),
    last_errcode = CASE WHEN ?1 = 'pending' THEN coalesce(?5, last_errcode) ELSE ?5 END,
    last_error = CASE WHEN ?1 = 'pending' THEN coalesce(?6, last_error) ELSE ?6 END,
    provider_message_id = coalesce(?7, provider_message_id),
    sent_at = CASE WHEN ?1 = 'sent' THEN ?8 END,
    finished_at = ?8,
    claimed_by = NULL, lease_expires_at = NULL, rescues = 0
WHERE id = ?9 AND fence = ?10 AND status = 'sending' AND claimed_by = ?11
