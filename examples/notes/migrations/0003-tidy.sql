UPDATE notes SET body = rtrim(substr(body, 1, 80));
CREATE INDEX notes_by_words ON notes (words);
