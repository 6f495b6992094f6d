-- Version 1. What waits or runs stands in small tables from which rows are deleted. History is inserted and not changed:
-- `job` is what was asked for, `job_status` how it stands since an attempt has ended or a pause was over. Jobs are found
-- by `seq` (the first half of the id, whose upper 48 bits are a time) and `lo` (the second) is compared. NULL stands for
-- the usual value of a column, because it takes no room. Free text is bytea: text has no NUL. State and reason are
-- numbers in the order of model/job_state.h. Texts are compared by their bytes, whatever the database's language.

CREATE TABLE meta(
  id int PRIMARY KEY CHECK (id = 1),
  log text COLLATE "C" NOT NULL  -- names this event log
);

-- Who leads, and how far it has come. The first thing that a tick touches.
CREATE TABLE epoch(
  id int PRIMARY KEY CHECK (id = 1),
  epoch bigint NOT NULL,           -- how many times a hub took the lead
  tick bigint NOT NULL,
  beat bigint NOT NULL,            -- grows while the leader lives
  pid int,                         -- of its connection; NULL: it has stopped in good order
  backend_start timestamptz,       -- with pid: process numbers are used again
  hub text COLLATE "C" NOT NULL,
  last_event bigint NOT NULL,      -- the highest ever, also when the rows are gone
  last_id bigint NOT NULL,
  last_lane bigint NOT NULL,
  last_backdated bigint NOT NULL   -- the last job whose id is later than its submission
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
INSERT INTO epoch VALUES (1, 0, 0, 0, NULL, NULL, '', 0, 0, 0, 0);

-- The first tick of each epoch, so that the outcome of a commit can be told after others have led.
CREATE TABLE reign(
  epoch bigint PRIMARY KEY,
  first_tick bigint NOT NULL,
  hub text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenant(
  name text COLLATE "C" PRIMARY KEY,
  weight float8 NOT NULL,
  max_running bigint NOT NULL,
  max_queued bigint NOT NULL,
  keep_finished bigint,
  keep_failed bigint,
  max_memory_per_job bigint NOT NULL
);

CREATE TABLE batch(
  id uuid PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  priority bigint NOT NULL,
  dedicated boolean NOT NULL,
  max_running bigint NOT NULL,
  state smallint NOT NULL,
  paused boolean NOT NULL,
  created_at bigint NOT NULL,
  created_by text COLLATE "C",
  over_tenants boolean NOT NULL
);
CREATE INDEX batch_name ON batch(name, id);

-- Jobs by state, kept up to date by each tick.
CREATE TABLE batch_count(
  batch uuid NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  s0 bigint NOT NULL, s1 bigint NOT NULL, s2 bigint NOT NULL, s3 bigint NOT NULL,
  s4 bigint NOT NULL, s5 bigint NOT NULL, s6 bigint NOT NULL, s7 bigint NOT NULL,
  PRIMARY KEY (batch, tenant)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE dead_letter(
  tenant text COLLATE "C" NOT NULL,
  reason smallint NOT NULL,
  n bigint NOT NULL,
  PRIMARY KEY (tenant, reason)
) WITH (fillfactor = 20);

CREATE TABLE lane(
  no bigint PRIMARY KEY,
  batch uuid NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  packaged boolean NOT NULL,
  requirements text COLLATE "C" NOT NULL,  -- JSON, members in one order
  avoid text COLLATE "C",                  -- hosts' names; NULL: none
  mean_duration float8 NOT NULL,
  ends bigint NOT NULL,
  p90_duration float8 NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE ready(
  lane bigint NOT NULL,
  priority bigint NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (lane, priority, seq)
) WITH (autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE scheduled(
  seq bigint PRIMARY KEY,
  due bigint NOT NULL,
  by_wall boolean NOT NULL,
  duration bigint NOT NULL
) WITH (autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX scheduled_due ON scheduled(by_wall, due, seq);

CREATE TABLE queue_deadline(
  seq bigint PRIMARY KEY,
  due bigint NOT NULL,
  duration bigint NOT NULL
) WITH (autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_deadline_due ON queue_deadline(due, seq);

CREATE TABLE lease(
  seq bigint PRIMARY KEY,
  lo bigint NOT NULL,
  name uuid NOT NULL,
  lane bigint NOT NULL,
  host uuid NOT NULL,
  host_name text COLLATE "C" NOT NULL,
  attempt bigint NOT NULL,
  version bigint NOT NULL,
  ttl bigint NOT NULL,
  granted_at bigint NOT NULL,
  started_at bigint,
  progressed smallint,         -- 1: there is a progress
  percent smallint,
  message bytea,
  cancel_requested_at bigint,
  cancel_grace bigint,
  cancel_reason bytea,
  fetch_id text COLLATE "C"
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_cost_delay = 0);

CREATE TABLE job(
  seq bigint PRIMARY KEY,
  lo bigint NOT NULL,
  state smallint NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  batch uuid,                  -- NULL: batch0
  type text COLLATE "C" NOT NULL,
  name text COLLATE "C",
  submitted_at bigint NOT NULL,
  priority bigint NOT NULL,
  ready_at bigint,
  due_at bigint,
  redrive_of uuid,
  package text COLLATE "C",
  package_sha256 bytea,
  not_before bigint,
  delay bigint,
  timeout bigint,
  queue_timeout bigint,
  lease bigint,
  max_attempts bigint,
  key text COLLATE "C",
  key_digest bytea,            -- of what was submitted under the key
  submitted_by text COLLATE "C",
  tags text COLLATE "C",       -- JSON object
  extras text COLLATE "C",     -- JSON object: what few jobs have (inputs, backoff, requirements, ref)
  parameters text COLLATE "C"
) PARTITION BY RANGE (seq);
CREATE TABLE job_rest PARTITION OF job DEFAULT;
-- A tenant's list in order; with `lo` in it, ids are found by their last digits without touching the wide rows.
CREATE INDEX job_tenant ON job(tenant, seq, lo);
CREATE INDEX job_batch ON job(batch, seq) WHERE batch IS NOT NULL;

CREATE TABLE job_key(
  tenant text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant, key)
);

CREATE TABLE job_status(
  seq bigint PRIMARY KEY,
  state smallint NOT NULL,
  reason smallint NOT NULL,
  host text COLLATE "C",
  version bigint NOT NULL,
  attempt bigint NOT NULL,
  failures bigint NOT NULL,
  host_losses bigint NOT NULL,
  ready_at bigint,
  due_at bigint,
  started_at bigint,
  finished_at bigint,
  cancel_requested_at bigint,
  exit_code bigint,
  exit_signal bigint,
  cpu_seconds float8,          -- NULL: no usage known
  max_rss bigint,
  progressed smallint,
  percent smallint,
  result_truncated smallint,
  redrive_of uuid,
  redriven_as uuid,
  message bytea,
  error bytea,
  result bytea,
  files_left_out text COLLATE "C",  -- JSON object: count, and paths with reasons; NULL: nothing
  trouble text COLLATE "C",         -- JSON object; NULL: none
  cause smallint,                   -- 0: out of memory; NULL: nothing that has a name
  settled_at bigint,                -- of a dead letter: dismissed, or run again with success
  memory bigint,                    -- bytes, instead of what it asked for; NULL: as asked
  tenant text COLLATE "C" NOT NULL  -- the job's, for the indexes
) PARTITION BY RANGE (seq);
CREATE TABLE job_status_rest PARTITION OF job_status DEFAULT;
-- Retention.
CREATE INDEX job_ended ON job_status(state, finished_at, tenant) WHERE state >= 5;
-- The dead letters, and the cancelled.
CREATE INDEX job_dead ON job_status(state, seq, reason, tenant) WHERE state >= 6;

-- How many jobs that have not ended need a package version.
CREATE TABLE package_use(
  tenant text COLLATE "C" NOT NULL,
  sha256 bytea NOT NULL,
  jobs bigint NOT NULL,
  PRIMARY KEY (tenant, sha256)
) WITH (fillfactor = 50);

-- Files that jobs take in, so that a blob in need is known by its digest.
CREATE TABLE job_input(
  tenant text COLLATE "C" NOT NULL,
  sha256 bytea NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (tenant, sha256, seq)
);
CREATE INDEX job_input_seq ON job_input(seq);

CREATE TABLE attempt(
  seq bigint NOT NULL,
  attempt bigint NOT NULL,
  lease_lo bigint NOT NULL,    -- second half of the lease's name; the first is the job's seq
  host text COLLATE "C",
  leased_at bigint NOT NULL,
  started_at bigint,
  ended_at bigint,
  outcome smallint,
  error bytea,
  exit_code bigint,
  exit_signal bigint,
  cpu_seconds float8,
  max_rss bigint,
  cause smallint,
  memory bigint,               -- bytes that it asked of its host; NULL: none in particular
  PRIMARY KEY (seq, attempt)
) PARTITION BY RANGE (seq);
CREATE TABLE attempt_rest PARTITION OF attempt DEFAULT;

CREATE TABLE job_file(
  seq bigint NOT NULL,
  path text COLLATE "C" NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  size bigint NOT NULL,
  sha256 bytea NOT NULL,
  PRIMARY KEY (seq, path)
);
CREATE INDEX job_file_blob ON job_file(tenant, sha256);

CREATE TABLE host(
  id uuid PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  secret_sha256 text COLLATE "C" NOT NULL,
  address text COLLATE "C" NOT NULL,
  slots bigint NOT NULL,
  memory bigint NOT NULL,
  labels text COLLATE "C" NOT NULL,  -- JSON, as the next two
  types text COLLATE "C",
  tenants text COLLATE "C",
  packages boolean NOT NULL,
  containment text COLLATE "C" NOT NULL,
  mode smallint NOT NULL,
  joined_at bigint NOT NULL,
  isolation text COLLATE "C" NOT NULL,
  memory_held text COLLATE "C" NOT NULL,
  processes_held text COLLATE "C" NOT NULL,
  pool text COLLATE "C" NOT NULL,
  instance text COLLATE "C" NOT NULL,
  mode_by smallint NOT NULL,
  mode_reason text COLLATE "C" NOT NULL,
  enrolment uuid
);

-- Hosts that an operator has drained, also while they are away.
CREATE TABLE host_drain(
  name text COLLATE "C" NOT NULL,
  tenants text COLLATE "C" NOT NULL,  -- JSON; empty: of all
  at bigint NOT NULL,
  PRIMARY KEY (name, tenants)
);

CREATE TABLE join_token(
  id uuid PRIMARY KEY,
  sha256 text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,     -- '': for any host
  tenants text COLLATE "C" NOT NULL,  -- JSON; empty: all
  expires bigint NOT NULL,
  uses bigint NOT NULL,
  uses_left bigint NOT NULL,
  created_by text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL
);

CREATE TABLE enrolment(
  id uuid PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  tenants text COLLATE "C",                  -- JSON; NULL: all
  secret_sha256 text COLLATE "C" NOT NULL,
  earlier_sha256 text COLLATE "C" NOT NULL,  -- '': none
  earlier_until bigint NOT NULL,
  secret_since bigint NOT NULL,
  join_token uuid NOT NULL,
  joining text COLLATE "C" NOT NULL,         -- '': its secret has been used
  change bigint NOT NULL,                    -- the host's number of the call that gave it its secret
  enrolled_at bigint NOT NULL
);

CREATE TABLE package(
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  sha256 bytea NOT NULL,
  size bigint NOT NULL,
  version bigint NOT NULL,
  types text COLLATE "C" NOT NULL,  -- JSON
  open boolean NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (tenant, name, sha256)
);

CREATE TABLE token(
  id uuid PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  sha256 text COLLATE "C" NOT NULL,
  roles text COLLATE "C" NOT NULL,    -- JSON, as the next
  tenants text COLLATE "C" NOT NULL,
  expires bigint,
  created_at bigint NOT NULL
);

CREATE TABLE list_key(
  scope text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  digest text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  ids bytea NOT NULL,                 -- 16 bytes each
  no bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (scope, key)
);
CREATE UNIQUE INDEX list_key_at ON list_key(at, no);

CREATE TABLE operation(
  id uuid PRIMARY KEY,
  kind smallint NOT NULL,
  filter text COLLATE "C" NOT NULL,   -- JSON
  cursor bigint NOT NULL,
  bound bigint NOT NULL,
  done bigint NOT NULL,
  grace bigint NOT NULL,
  text text COLLATE "C" NOT NULL
);

CREATE TABLE webhook(
  id uuid PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  for_jobs boolean NOT NULL,
  name text COLLATE "C",
  url text COLLATE "C",
  types text COLLATE "C",             -- JSON list of names and patterns; NULL: all
  batches bytea,                      -- 16 bytes each; NULL: all
  secret text COLLATE "C" NOT NULL,
  old_secret text COLLATE "C",
  old_secret_until bigint NOT NULL,
  enabled boolean NOT NULL,
  reason text COLLATE "C",
  cursor bigint NOT NULL,             -- events up to this one were told or are deliveries
  rewinds bigint NOT NULL,
  removed boolean NOT NULL,           -- it waits until its deliveries are gone
  created_at bigint NOT NULL,
  created_by text COLLATE "C",
  job_types text COLLATE "C",         -- JSON list of names; NULL: all
  tags text COLLATE "C"               -- JSON object; NULL: none is asked for
);

CREATE TABLE webhook_delivery(
  webhook uuid NOT NULL,
  event bigint NOT NULL,
  url text COLLATE "C",               -- of a job's own webhook; NULL: the webhook's
  state smallint NOT NULL,            -- 0 pending, 1 dead
  attempts bigint NOT NULL,
  due bigint NOT NULL,
  at bigint NOT NULL,
  tried_at bigint,
  status bigint NOT NULL,
  error bytea,
  PRIMARY KEY (webhook, event)
);
CREATE INDEX webhook_delivery_due ON webhook_delivery(due, webhook, event) WHERE state = 0;
CREATE INDEX webhook_delivery_dead ON webhook_delivery(webhook, event, at) WHERE state = 1;

-- How far readers of the event log have come that are no webhooks.
CREATE TABLE cursor(
  name text COLLATE "C" PRIMARY KEY,
  log text COLLATE "C" NOT NULL,      -- whose events; meta's, unless the store was restored since
  at bigint NOT NULL                  -- the last event that is done with
);

CREATE TABLE pool(
  name text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  settings text COLLATE "C" NOT NULL,  -- JSON
  paused boolean NOT NULL,
  removing boolean NOT NULL,
  scale_wanted bigint,                 -- NULL: nobody scales it by hand
  scale_until bigint
);

CREATE TABLE machine(
  pool text COLLATE "C" NOT NULL,
  instance text COLLATE "C" NOT NULL,
  state smallint NOT NULL,             -- in the order of model/pool.h
  request text COLLATE "C",
  zone text COLLATE "C",
  ordered_at bigint NOT NULL,
  ready_at bigint,
  gone_at bigint,
  reason text COLLATE "C",
  PRIMARY KEY (pool, instance)
);
CREATE INDEX machine_gone ON machine(gone_at) WHERE gone_at IS NOT NULL;

CREATE TABLE scaler_intent(
  request text COLLATE "C" PRIMARY KEY,
  pool text COLLATE "C" NOT NULL,
  verb smallint NOT NULL,
  count bigint NOT NULL,
  instances text COLLATE "C" NOT NULL,  -- JSON
  state smallint NOT NULL,
  refusal text COLLATE "C",             -- JSON
  issued_at bigint NOT NULL
);
CREATE INDEX scaler_intent_pool ON scaler_intent(pool, state);

CREATE TABLE scaler_decision(
  id bigint PRIMARY KEY,
  pool text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  last_at bigint NOT NULL,
  times bigint NOT NULL,
  input text COLLATE "C" NOT NULL,      -- JSON
  policy text COLLATE "C" NOT NULL,
  raw bigint NOT NULL,
  wanted bigint NOT NULL,
  actual bigint NOT NULL,
  changes text COLLATE "C",             -- JSON; NULL: nothing to do
  reason text COLLATE "C",
  outcome text COLLATE "C"
);
CREATE INDEX scaler_decision_pool ON scaler_decision(pool, id);

CREATE TABLE load_sample(
  pool text COLLATE "C" NOT NULL,
  at bigint NOT NULL,                   -- until the next one it was so
  ready bigint NOT NULL,                -- jobs that this pool's hosts would run, and the slots that they ask for
  ready_slots bigint NOT NULL,
  running bigint NOT NULL,              -- leases on its hosts
  running_slots bigint NOT NULL,
  arrived bigint NOT NULL,              -- jobs that became ready for the first time, since the sample before
  hosts bigint NOT NULL,                -- that take jobs
  booting bigint NOT NULL,              -- machines
  PRIMARY KEY (pool, at)
);
CREATE INDEX load_sample_at ON load_sample(at);

CREATE TABLE scaler(
  id int PRIMARY KEY CHECK (id = 1),
  holder text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL
);

-- Blobs in an object store. What this table says is there is there; see store::BlobState.
CREATE TABLE blob(
  tenant text COLLATE "C" NOT NULL,
  sha256 bytea NOT NULL,
  size bigint NOT NULL,
  state smallint NOT NULL,              -- 0 arriving, 1 there, 2 fading, 3 removing
  at bigint NOT NULL,                   -- in this state since, or committed again; wall
  PRIMARY KEY (tenant, sha256)
);
CREATE INDEX blob_state ON blob(state, at, tenant, sha256);

CREATE TABLE event(
  no bigint PRIMARY KEY,
  type smallint NOT NULL,
  seq bigint NOT NULL,                  -- of the subject, with lo
  lo bigint NOT NULL,
  tenant text COLLATE "C",
  batch uuid,
  at bigint NOT NULL,
  data text COLLATE "C"
) PARTITION BY RANGE (no);
CREATE TABLE event_rest PARTITION OF event DEFAULT;
CREATE INDEX event_subject ON event(seq);
