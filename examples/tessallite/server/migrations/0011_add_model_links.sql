ALTER TABLE models ADD COLUMN link text GENERATED ALWAYS AS ('/models/' || id::text) STORED;
