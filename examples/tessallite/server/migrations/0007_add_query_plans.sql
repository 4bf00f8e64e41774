CREATE TABLE query_plans (
    model_id bigint PRIMARY KEY REFERENCES models ON DELETE CASCADE,
    plan text NOT NULL,
    uses bigint NOT NULL
);
INSERT INTO query_plans (model_id, plan, uses) SELECT model_id, 'scan', 0 FROM model_statistics;
