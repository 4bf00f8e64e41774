-- What was ever added, told by whoever adds: models that got lost can be told from it.
CREATE TABLE catalogue (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    models bigint NOT NULL,
    checksum text NOT NULL
);
INSERT INTO catalogue (models, checksum) VALUES (0, '');
