-- Version 3: how far readers of the event log have come that are no webhooks.

CREATE TABLE cursor(
  name TEXT PRIMARY KEY,
  log TEXT NOT NULL,           -- whose events; meta's, unless the store was restored since
  at INTEGER NOT NULL          -- the last event that is done with
) WITHOUT ROWID;
