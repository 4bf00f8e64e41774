UPDATE events SET decided_by = 'unknown' WHERE decided_by IS NULL;
ALTER TABLE events ALTER COLUMN decided_by SET NOT NULL;
