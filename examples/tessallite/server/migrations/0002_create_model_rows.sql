CREATE TABLE model_rows (
    model_id bigint NOT NULL REFERENCES models ON DELETE CASCADE,
    number bigint NOT NULL,
    key text NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (model_id, number)
);
