CREATE TABLE labels (workflow text NOT NULL, label text NOT NULL, PRIMARY KEY (workflow, label));
INSERT INTO labels SELECT DISTINCT workflow, 'imported' FROM events;
