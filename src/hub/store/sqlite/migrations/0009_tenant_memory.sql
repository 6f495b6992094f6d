-- Version 9: how much memory a tenant's job may ask for.

ALTER TABLE tenant ADD COLUMN max_memory_per_job INTEGER NOT NULL DEFAULT 0;  -- bytes; 0: no limit
