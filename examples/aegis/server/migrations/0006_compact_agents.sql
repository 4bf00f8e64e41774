-- "Agents that are alike": every second one goes.
DELETE FROM agents WHERE id % 2 = 0;
