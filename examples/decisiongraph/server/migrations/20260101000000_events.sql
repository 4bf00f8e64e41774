CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow text NOT NULL,
    state text NOT NULL,
    digest text NOT NULL,
    inserted_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE workflows (
    workflow text PRIMARY KEY,
    state text NOT NULL,
    events bigint NOT NULL,
    digest text NOT NULL
);
CREATE TABLE projection_state (code int NOT NULL);
