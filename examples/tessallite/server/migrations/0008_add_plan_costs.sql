ALTER TABLE query_plans ADD COLUMN cost bigint;
UPDATE query_plans SET cost = (SELECT count(*) FROM model_rows WHERE model_rows.model_id = query_plans.model_id);
