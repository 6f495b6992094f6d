-- Version 5: what was in a job's output directory and is not kept.

ALTER TABLE job ADD COLUMN files_left_out TEXT;  -- JSON object: count, and paths with reasons; NULL: nothing
