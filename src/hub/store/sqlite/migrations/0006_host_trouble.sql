-- Version 5: jobs remember what hosts have cost them, and wait in lanes that avoid a host.

ALTER TABLE job ADD COLUMN trouble TEXT;  -- JSON object; NULL: none
ALTER TABLE lane ADD COLUMN avoid TEXT;   -- a host's name; NULL: none
