-- Version 15: a fleet that sizes itself.

ALTER TABLE host ADD COLUMN pool TEXT NOT NULL DEFAULT '';      -- with the next one the machine that it runs on
ALTER TABLE host ADD COLUMN instance TEXT NOT NULL DEFAULT '';
ALTER TABLE host ADD COLUMN mode_by INTEGER NOT NULL DEFAULT 0; -- 0 an operator, 1 the scaler
ALTER TABLE host ADD COLUMN mode_reason TEXT NOT NULL DEFAULT '';

CREATE TABLE pool(
  name TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  settings TEXT NOT NULL,      -- JSON
  paused INTEGER NOT NULL,
  removing INTEGER NOT NULL,
  scale_wanted INTEGER,        -- NULL: nobody scales it by hand
  scale_until INTEGER
) WITHOUT ROWID;

CREATE TABLE machine(
  pool TEXT NOT NULL,
  instance TEXT NOT NULL,
  state INTEGER NOT NULL,      -- in the order of model/pool.h
  request TEXT,
  zone TEXT,
  ordered_at INTEGER NOT NULL,
  ready_at INTEGER,
  gone_at INTEGER,
  reason TEXT,
  PRIMARY KEY (pool, instance)
) WITHOUT ROWID;
CREATE INDEX machine_gone ON machine(gone_at) WHERE gone_at IS NOT NULL;

CREATE TABLE scaler_intent(
  request TEXT PRIMARY KEY,
  pool TEXT NOT NULL,
  verb INTEGER NOT NULL,
  count INTEGER NOT NULL,
  instances TEXT NOT NULL,     -- JSON
  state INTEGER NOT NULL,
  refusal TEXT,                -- JSON
  issued_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX scaler_intent_pool ON scaler_intent(pool, state);

CREATE TABLE scaler_decision(
  id INTEGER PRIMARY KEY,
  pool TEXT NOT NULL,
  at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  times INTEGER NOT NULL,
  input TEXT NOT NULL,         -- JSON
  policy TEXT NOT NULL,
  raw INTEGER NOT NULL,
  wanted INTEGER NOT NULL,
  actual INTEGER NOT NULL,
  changes TEXT,                -- JSON; NULL: nothing to do
  reason TEXT,
  outcome TEXT
);
CREATE INDEX scaler_decision_pool ON scaler_decision(pool, id);

CREATE TABLE scaler(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  holder TEXT NOT NULL,
  epoch INTEGER NOT NULL
);
