-- Version 10: what fair shares need to know.

-- 1: its priority ranks over all tenants, not only within its own. Before, every batch's did; of those that are there
-- an operator has made at least the shared ones and those with a priority that is reserved for operators.
ALTER TABLE batch ADD COLUMN over_tenants INTEGER NOT NULL DEFAULT 0;
UPDATE batch SET over_tenants = 1 WHERE tenant = '' AND id <> zeroblob(16) OR priority < 100;

-- How long the lane's jobs hold their slots, in milliseconds, and how many ends that was learnt from.
ALTER TABLE lane ADD COLUMN mean_duration REAL NOT NULL DEFAULT 0;
ALTER TABLE lane ADD COLUMN ends INTEGER NOT NULL DEFAULT 0;

-- A change of notBefore that was refused took its job out of here and left it to nobody: it is due now.
INSERT INTO scheduled(seq, due, by_wall, duration)
  SELECT seq, 0, 0, 0 FROM job WHERE state = 0 AND seq NOT IN (SELECT seq FROM scheduled);
