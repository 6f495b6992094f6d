-- Version 4: webhooks that are told of some jobs only.

ALTER TABLE webhook ADD COLUMN job_types TEXT;  -- JSON list of names; NULL: all
ALTER TABLE webhook ADD COLUMN tags TEXT;       -- JSON object; NULL: none is asked for
