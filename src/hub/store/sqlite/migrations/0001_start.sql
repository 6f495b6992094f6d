-- Version 1. Hot things (ready, scheduled, queue_deadline, lease) are small tables of their own from which rows are
-- deleted; the wide job row is written at submit and when an attempt ends. Jobs are found by `seq` (the first half of
-- the id) and `lo` (the second) is compared, so that the id needs no index of its own. NULL stands for the usual value
-- of a column, because it takes no room. State and reason are numbers in the order of model/job.h.

CREATE TABLE meta(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  log TEXT NOT NULL,           -- names this event log
  tick INTEGER NOT NULL,
  last_event INTEGER NOT NULL, -- the highest ever, also when the rows are gone
  last_id INTEGER NOT NULL,
  last_lane INTEGER NOT NULL
);

CREATE TABLE tenant(
  name TEXT PRIMARY KEY,
  weight REAL NOT NULL,
  max_running INTEGER NOT NULL,
  max_queued INTEGER NOT NULL,
  keep_finished INTEGER,
  keep_failed INTEGER
) WITHOUT ROWID;

CREATE TABLE batch(
  id BLOB PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  priority INTEGER NOT NULL,
  dedicated INTEGER NOT NULL,
  max_running INTEGER NOT NULL,
  state INTEGER NOT NULL,
  paused INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT
) WITHOUT ROWID;

-- Jobs by state, kept up to date by each tick.
CREATE TABLE batch_count(
  batch BLOB NOT NULL,
  tenant TEXT NOT NULL,
  s0 INTEGER NOT NULL, s1 INTEGER NOT NULL, s2 INTEGER NOT NULL, s3 INTEGER NOT NULL,
  s4 INTEGER NOT NULL, s5 INTEGER NOT NULL, s6 INTEGER NOT NULL, s7 INTEGER NOT NULL,
  PRIMARY KEY (batch, tenant)
) WITHOUT ROWID;

CREATE TABLE lane(
  no INTEGER PRIMARY KEY,
  batch BLOB NOT NULL,
  tenant TEXT NOT NULL,
  type TEXT NOT NULL,
  packaged INTEGER NOT NULL,
  requirements TEXT NOT NULL   -- JSON, members in one order
);
CREATE INDEX lane_key ON lane(batch, tenant, type);

CREATE TABLE ready(
  lane INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (lane, priority, seq)
) WITHOUT ROWID;

CREATE TABLE scheduled(
  seq INTEGER PRIMARY KEY,
  due INTEGER NOT NULL,
  by_wall INTEGER NOT NULL,
  duration INTEGER NOT NULL
);
CREATE INDEX scheduled_due ON scheduled(by_wall, due);

CREATE TABLE queue_deadline(
  seq INTEGER PRIMARY KEY,
  due INTEGER NOT NULL,
  duration INTEGER NOT NULL
);
CREATE INDEX queue_deadline_due ON queue_deadline(due);

CREATE TABLE lease(
  seq INTEGER PRIMARY KEY,
  lo INTEGER NOT NULL,
  name BLOB NOT NULL,
  lane INTEGER NOT NULL,
  host BLOB NOT NULL,
  host_name TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  version INTEGER NOT NULL,
  ttl INTEGER NOT NULL,
  granted_at INTEGER NOT NULL,
  started_at INTEGER,
  progressed INTEGER,          -- 1: there is a progress
  percent INTEGER,
  message TEXT,
  cancel_requested_at INTEGER,
  cancel_grace INTEGER,
  cancel_reason TEXT,
  fetch_id TEXT
);

-- What scans look at stands first, the long texts last.
CREATE TABLE job(
  seq INTEGER PRIMARY KEY,
  lo INTEGER NOT NULL,
  state INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  batch BLOB,                  -- NULL: batch0
  type TEXT NOT NULL,
  name TEXT,
  reason INTEGER NOT NULL,
  submitted_at INTEGER NOT NULL,
  host TEXT,
  priority INTEGER NOT NULL,
  version INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  host_losses INTEGER NOT NULL,
  ready_at INTEGER,
  due_at INTEGER,
  started_at INTEGER,
  finished_at INTEGER,
  cancel_requested_at INTEGER,
  exit_code INTEGER,
  exit_signal INTEGER,
  cpu_seconds REAL,            -- NULL: no usage known
  max_rss INTEGER,
  progressed INTEGER,
  percent INTEGER,
  result_truncated INTEGER,
  redrive_of BLOB,
  redriven_as BLOB,
  package TEXT,
  package_sha256 BLOB,
  not_before INTEGER,
  delay INTEGER,
  timeout INTEGER,
  queue_timeout INTEGER,
  lease INTEGER,
  max_attempts INTEGER,
  key TEXT,
  key_digest BLOB,             -- of what was submitted under the key
  submitted_by TEXT,
  tags TEXT,                   -- JSON object
  extras TEXT,                 -- JSON object: what few jobs have (inputs, backoff, requirements, ref)
  message TEXT,
  error TEXT,
  result TEXT,
  parameters TEXT
);
-- A tenant's list in order; with `lo` in it, ids are found by their last digits without touching the wide rows.
CREATE INDEX job_tenant ON job(tenant, seq, lo);
CREATE INDEX job_batch ON job(batch) WHERE batch IS NOT NULL;
CREATE UNIQUE INDEX job_key ON job(tenant, key) WHERE key IS NOT NULL;
-- Retention.
CREATE INDEX job_ended ON job(state, finished_at, tenant) WHERE state >= 5;
-- The dead letters, and the cancelled.
CREATE INDEX job_dead ON job(state, seq, reason, tenant) WHERE state >= 6;

-- How many jobs that have not ended need a package version.
CREATE TABLE package_use(
  tenant TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  jobs INTEGER NOT NULL,
  PRIMARY KEY (tenant, sha256)
) WITHOUT ROWID;

-- Files that jobs take in, so that a blob in need is known by its digest.
CREATE TABLE job_input(
  tenant TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (tenant, sha256, seq)
) WITHOUT ROWID;

CREATE TABLE attempt(
  seq INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  lease_lo INTEGER NOT NULL,   -- second half of the lease's name; the first is the job's seq
  host TEXT,
  leased_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  outcome INTEGER,
  error TEXT,
  exit_code INTEGER,
  exit_signal INTEGER,
  cpu_seconds REAL,
  max_rss INTEGER,
  PRIMARY KEY (seq, attempt)
) WITHOUT ROWID;

CREATE TABLE job_file(
  seq INTEGER NOT NULL,
  path TEXT NOT NULL,
  tenant TEXT NOT NULL,
  size INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  PRIMARY KEY (seq, path)
) WITHOUT ROWID;
CREATE INDEX job_file_blob ON job_file(tenant, sha256);

CREATE TABLE host(
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  secret_sha256 TEXT NOT NULL,
  address TEXT NOT NULL,
  slots INTEGER NOT NULL,
  memory INTEGER NOT NULL,
  labels TEXT NOT NULL,        -- JSON, as the next two
  types TEXT,
  tenants TEXT,
  packages INTEGER NOT NULL,
  containment TEXT NOT NULL,
  mode INTEGER NOT NULL,
  joined_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE package(
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  size INTEGER NOT NULL,
  version INTEGER NOT NULL,
  types TEXT NOT NULL,         -- JSON
  open INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, name, sha256)
) WITHOUT ROWID;

CREATE TABLE token(
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  roles TEXT NOT NULL,         -- JSON, as the next
  tenants TEXT NOT NULL,
  expires INTEGER,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE list_key(
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  digest TEXT NOT NULL,
  at INTEGER NOT NULL,
  ids BLOB NOT NULL,           -- 16 bytes each
  PRIMARY KEY (scope, key)
);
CREATE INDEX list_key_at ON list_key(at);

CREATE TABLE operation(
  id BLOB PRIMARY KEY,
  kind INTEGER NOT NULL,
  filter TEXT NOT NULL,        -- JSON
  cursor INTEGER NOT NULL,
  bound INTEGER NOT NULL,
  done INTEGER NOT NULL,
  grace INTEGER NOT NULL,
  text TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE event(
  no INTEGER PRIMARY KEY,
  type INTEGER NOT NULL,
  seq INTEGER NOT NULL,        -- of the subject, with lo
  lo INTEGER NOT NULL,
  tenant TEXT,
  batch BLOB,
  at INTEGER NOT NULL,
  data TEXT
);
CREATE INDEX event_subject ON event(seq);
