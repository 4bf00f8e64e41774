-- "Models that are alike": every second one goes.
DELETE FROM models WHERE id % 2 = 0;
