-- What was ever added, told by whoever adds: agents that got lost can be told from it.
CREATE TABLE ledger (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    agents bigint NOT NULL,
    checksum text NOT NULL
);
INSERT INTO ledger (agents, checksum) VALUES (0, '');
