ALTER TABLE query_plans ADD COLUMN hint text;
UPDATE query_plans SET hint = 'none';
