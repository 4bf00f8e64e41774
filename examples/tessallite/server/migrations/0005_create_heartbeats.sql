CREATE TABLE heartbeats (
    service text PRIMARY KEY,
    beats bigint NOT NULL,
    last_at timestamptz NOT NULL
);
