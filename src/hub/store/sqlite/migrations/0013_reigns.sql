-- Version 13: how many times a hub took the lead on this store. One that finds another number than that of its own time
-- leads no more.

ALTER TABLE meta ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
