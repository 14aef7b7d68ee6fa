DELETE FROM idempotency_keys WHERE user_id IS NULL;
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_of_somebody;
ALTER TABLE idempotency_keys DROP COLUMN service_token_id;
ALTER TABLE idempotency_keys ALTER COLUMN user_id SET NOT NULL;
DROP TABLE service_tokens;
