CREATE TABLE model_statistics (
    model_id bigint PRIMARY KEY REFERENCES models ON DELETE CASCADE,
    row_count bigint NOT NULL,
    total numeric NOT NULL,
    computed_at timestamptz NOT NULL
);
