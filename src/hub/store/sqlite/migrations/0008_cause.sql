-- Version 8: what a failed attempt came from.

ALTER TABLE job ADD COLUMN cause INTEGER;      -- 0: out of memory; NULL: nothing that has a name
ALTER TABLE attempt ADD COLUMN cause INTEGER;
