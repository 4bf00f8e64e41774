ALTER TABLE events ADD COLUMN decided_by text;
UPDATE events SET decided_by = 'operator' WHERE state = 'decided';
CREATE INDEX events_workflow ON events (workflow, id);
