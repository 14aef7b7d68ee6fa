-- Ends a batch of leases of one relay, each only if the relay still holds it under that fence.
--
-- The rows are found by their primary key. `|| ''` keeps the planner from the index of
-- leases: with old statistics it once compared every lease with every row of the batch.
UPDATE outbox_messages AS m
SET status = s.status,
    attempt = m.attempt - s.attempts_given_back,
    due_at = coalesce(s.due_at, m.due_at),
    outcome_unknown = coalesce(s.outcome_unknown, m.outcome_unknown),
    last_errcode = CASE WHEN s.status = 'pending' THEN coalesce(s.errcode, m.last_errcode) ELSE s.errcode END,
    last_error = CASE WHEN s.status = 'pending' THEN coalesce(s.error, m.last_error) ELSE s.error END,
    provider_message_id = coalesce(s.provider_message_id, m.provider_message_id),
    sent_at = CASE WHEN s.status = 'sent' THEN s.finished_at END,
    finished_at = s.finished_at,
    claimed_by = NULL,
    lease_expires_at = NULL,
    rescues = 0
FROM unnest(
    {id}, {fence}, {status}, {attempts_given_back}, {due_at}, {outcome_unknown}, {errcode}, {error},
    {provider_message_id}, {finished_at}
) AS s (
    id, fence, status, attempts_given_back, due_at, outcome_unknown, errcode, error,
    provider_message_id, finished_at
)
WHERE m.id = s.id
  AND m.fence = s.fence
  AND m.status || '' = 'sending'
  AND m.claimed_by = {relay}
RETURNING m.id, m.fence
