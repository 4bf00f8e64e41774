ALTER TABLE models ADD COLUMN owner text NOT NULL DEFAULT 'everybody';
