-- Version 18: what is known of a pool's load, and a drain that outlives its host.

ALTER TABLE lane ADD COLUMN p90_duration REAL NOT NULL DEFAULT 0;  -- ms; 0: not known

CREATE TABLE load_sample(
  pool TEXT NOT NULL,
  at INTEGER NOT NULL,         -- until the next one it was so
  ready INTEGER NOT NULL,      -- jobs that this pool's hosts would run, and the slots that they ask for
  ready_slots INTEGER NOT NULL,
  running INTEGER NOT NULL,    -- leases on its hosts
  running_slots INTEGER NOT NULL,
  arrived INTEGER NOT NULL,    -- jobs that became ready for the first time, since the sample before
  hosts INTEGER NOT NULL,      -- that take jobs
  booting INTEGER NOT NULL,    -- machines
  PRIMARY KEY (pool, at)
) WITHOUT ROWID;
CREATE INDEX load_sample_at ON load_sample(at);

-- Hosts that an operator has drained, also while they are away.
CREATE TABLE host_drain(
  name TEXT NOT NULL,
  tenants TEXT NOT NULL,       -- JSON; empty: of all
  at INTEGER NOT NULL,
  PRIMARY KEY (name, tenants)
) WITHOUT ROWID;
INSERT INTO host_drain SELECT name, coalesce(tenants, ''), joined_at FROM host WHERE mode = 1 AND mode_by = 0;
