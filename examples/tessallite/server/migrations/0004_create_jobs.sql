CREATE TABLE jobs (
    id bigserial PRIMARY KEY,
    model_id bigint REFERENCES models ON DELETE CASCADE,
    queued_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
);
CREATE INDEX jobs_open ON jobs (id) WHERE done_at IS NULL;
