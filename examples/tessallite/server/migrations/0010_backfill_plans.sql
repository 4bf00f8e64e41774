INSERT INTO query_plans (model_id, plan, uses) SELECT id, 'scan', 0 FROM models ON CONFLICT DO NOTHING;
UPDATE query_plans SET cost = (SELECT count(*) FROM model_rows WHERE model_rows.model_id = query_plans.model_id)
WHERE cost IS NULL;
