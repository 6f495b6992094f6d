-- Version 17: a job that ran out of memory is tried again with more.

ALTER TABLE job ADD COLUMN memory INTEGER;      -- bytes, instead of what it asked for; NULL: as asked
ALTER TABLE attempt ADD COLUMN memory INTEGER;  -- bytes that it asked of its host; NULL: none in particular
