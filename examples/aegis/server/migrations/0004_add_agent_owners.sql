ALTER TABLE agents ADD COLUMN owner text NOT NULL DEFAULT 'nobody';
