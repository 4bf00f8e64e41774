CREATE TABLE archive (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
INSERT INTO archive SELECT id, title FROM notes WHERE id % 10 = 0;
DELETE FROM notes WHERE id % 10 = 0;
