-- The history of a lead has also the releases into the public pool: nobody has it then.

ALTER TABLE assignments ALTER COLUMN to_user_id DROP NOT NULL;
