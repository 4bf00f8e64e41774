CREATE TABLE seals (agent_id bigint PRIMARY KEY REFERENCES agents ON DELETE CASCADE, sealed_at timestamptz NOT NULL);
INSERT INTO seals (agent_id, sealed_at) SELECT id, now() FROM agents;
