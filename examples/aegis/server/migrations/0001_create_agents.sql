CREATE TABLE agents (id bigserial PRIMARY KEY, name text NOT NULL, added_at timestamptz NOT NULL DEFAULT now());
