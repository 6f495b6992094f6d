-- Version 2: who is called when something happens, and what was told in vain.

CREATE TABLE webhook(
  id BLOB PRIMARY KEY,
  tenant TEXT NOT NULL,
  for_jobs INTEGER NOT NULL,
  name TEXT,
  url TEXT,
  types TEXT,                  -- JSON list of names and patterns; NULL: all
  batches BLOB,                -- 16 bytes each; NULL: all
  secret TEXT NOT NULL,
  old_secret TEXT,
  old_secret_until INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  reason TEXT,
  cursor INTEGER NOT NULL,     -- events up to this one were told or are deliveries
  rewinds INTEGER NOT NULL,
  removed INTEGER NOT NULL,    -- 1: waits until its deliveries are gone
  created_at INTEGER NOT NULL,
  created_by TEXT
) WITHOUT ROWID;

CREATE TABLE webhook_delivery(
  webhook BLOB NOT NULL,
  event INTEGER NOT NULL,
  url TEXT,                    -- of a job's own webhook; NULL: the webhook's
  state INTEGER NOT NULL,      -- 0 pending, 1 dead
  attempts INTEGER NOT NULL,
  due INTEGER NOT NULL,
  at INTEGER NOT NULL,
  tried_at INTEGER,
  status INTEGER NOT NULL,
  error TEXT,
  PRIMARY KEY (webhook, event)
) WITHOUT ROWID;
CREATE INDEX webhook_delivery_due ON webhook_delivery(due, webhook, event) WHERE state = 0;
CREATE INDEX webhook_delivery_dead ON webhook_delivery(webhook, event, at) WHERE state = 1;
