-- Version 19: blobs in an object store. What this table says is there is there; see store::BlobState.

CREATE TABLE blob(
  tenant TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  size INTEGER NOT NULL,
  state INTEGER NOT NULL,      -- 0 arriving, 1 there, 2 fading, 3 removing
  at INTEGER NOT NULL,         -- in this state since, or committed again; wall
  PRIMARY KEY (tenant, sha256)
) WITHOUT ROWID;
CREATE INDEX blob_state ON blob(state, at, tenant, sha256);
