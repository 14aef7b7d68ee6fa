DELETE FROM assignments WHERE to_user_id IS NULL;
ALTER TABLE assignments ALTER COLUMN to_user_id SET NOT NULL;
