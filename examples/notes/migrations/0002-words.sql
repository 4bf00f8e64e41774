ALTER TABLE notes ADD COLUMN words INTEGER NOT NULL DEFAULT 0;
UPDATE notes SET words = length(body) - length(replace(body, ' ', '')) + 1;
CREATE INDEX notes_by_title ON notes (title);
