CREATE TABLE owners (name text PRIMARY KEY);
INSERT INTO owners (name) SELECT DISTINCT owner_name FROM models;
ALTER TABLE models DROP COLUMN owner;
