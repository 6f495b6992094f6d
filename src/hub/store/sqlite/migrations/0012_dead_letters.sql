-- Version 12: dead letters are settled, by whoever dismisses them or by a redrive that succeeds, and the open ones are
-- counted.

ALTER TABLE job ADD COLUMN settled_at INTEGER;

-- A redrive that succeeded has settled the job that it is of, and what that one is of. Ids as hexadecimal digits.
WITH RECURSIVE
  redrive(id, of, state, at) AS MATERIALIZED (
    SELECT printf('%016X%016X', seq, lo), hex(redrive_of), state, finished_at FROM job WHERE redrive_of IS NOT NULL),
  done(id, at) AS (
    SELECT of, at FROM redrive WHERE state = 5
    UNION
    SELECT redrive.of, done.at FROM done JOIN redrive ON redrive.id = done.id AND redrive.state = 6)
UPDATE job SET settled_at = (SELECT min(at) FROM done WHERE done.id = printf('%016X%016X', job.seq, job.lo))
  WHERE state = 6 AND redriven_as IS NOT NULL;

CREATE TABLE dead_letter(
  tenant TEXT NOT NULL,
  reason INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (tenant, reason)
) WITHOUT ROWID;
INSERT INTO dead_letter
  SELECT tenant, reason, count(*) FROM job WHERE state >= 6 AND state = 6 AND settled_at IS NULL GROUP BY tenant, reason;
