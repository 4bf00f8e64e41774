CREATE TABLE workers (name text PRIMARY KEY, release text NOT NULL, last_at timestamptz NOT NULL);
