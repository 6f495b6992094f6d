-- Version 20: hosts that enrol with join tokens and keep a secret of their own.

CREATE TABLE join_token(
  id BLOB PRIMARY KEY,
  sha256 TEXT NOT NULL,
  name TEXT NOT NULL,          -- '': for any host
  tenants TEXT NOT NULL,       -- JSON; empty: all
  expires INTEGER NOT NULL,
  uses INTEGER NOT NULL,
  uses_left INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE enrolment(
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  tenants TEXT,                -- JSON; NULL: all
  secret_sha256 TEXT NOT NULL,
  earlier_sha256 TEXT NOT NULL,  -- '': none
  earlier_until INTEGER NOT NULL,
  secret_since INTEGER NOT NULL,
  join_token BLOB NOT NULL,
  joining TEXT NOT NULL,       -- '': its secret has been used
  change INTEGER NOT NULL,     -- the host's number of the call that gave it its secret
  enrolled_at INTEGER NOT NULL
) WITHOUT ROWID;

ALTER TABLE host ADD COLUMN enrolment BLOB;  -- NULL: it joined with a token
