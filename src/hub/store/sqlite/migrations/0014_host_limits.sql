-- Version 14: hosts say how they hold jobs to their limits.

ALTER TABLE host ADD COLUMN memory_held TEXT NOT NULL DEFAULT '';     -- cgroup2, cgroup1, watched; '': not said
ALTER TABLE host ADD COLUMN processes_held TEXT NOT NULL DEFAULT '';  -- likewise
