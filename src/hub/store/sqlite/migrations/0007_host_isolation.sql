-- Version 7: hosts say how they keep jobs apart.

ALTER TABLE host ADD COLUMN isolation TEXT NOT NULL DEFAULT '';  -- user, fenced, none; '': not said
