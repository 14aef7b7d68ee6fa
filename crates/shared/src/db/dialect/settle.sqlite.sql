-- Ends a batch of leases of one relay, each only if the relay still holds it under that fence. The
-- batch comes as a JSON array of arrays. The rows are found by their primary key: the `+` keeps the
-- planner from the index of leases.
UPDATE outbox_messages
SET status = s.status,
    attempt = attempt - s.attempts_given_back,
    due_at = coalesce(s.due_at, outbox_messages.due_at),
    outcome_unknown = coalesce(s.outcome_unknown, outbox_messages.outcome_unknown),
    last_errcode = CASE WHEN s.status = 'pending' THEN coalesce(s.errcode, last_errcode) ELSE s.errcode END,
    last_error = CASE WHEN s.status = 'pending' THEN coalesce(s.error, last_error) ELSE s.error END,
    provider_message_id = coalesce(s.provider_message_id, outbox_messages.provider_message_id),
    sent_at = CASE WHEN s.status = 'sent' THEN s.finished_at END,
    finished_at = s.finished_at,
    claimed_by = NULL,
    lease_expires_at = NULL,
    rescues = 0
FROM (
    SELECT value ->> 0 AS id,
           value ->> 1 AS fence,
           value ->> 2 AS status,
           value ->> 3 AS attempts_given_back,
           value ->> 4 AS due_at,
           value ->> 5 AS outcome_unknown,
           value ->> 6 AS errcode,
           value ->> 7 AS error,
           value ->> 8 AS provider_message_id,
           value ->> 9 AS finished_at
    FROM json_each({batch})
) AS s
WHERE outbox_messages.id = s.id
  AND outbox_messages.fence = s.fence
  AND +outbox_messages.status = 'sending'
  AND outbox_messages.claimed_by = {relay}
RETURNING outbox_messages.id, outbox_messages.fence
