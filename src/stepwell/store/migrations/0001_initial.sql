-- The first schema. Every table is keyed (workspace, id). Ids are the 16 bytes of a UUIDv7, times are epoch milliseconds,
-- values are JSON text: as it is up to 4 KiB, else a reference into payloads.

CREATE TABLE workspaces (
  id BLOB NOT NULL PRIMARY KEY,
  name TEXT NOT NULL
) WITHOUT ROWID;

-- A value sealed by the first vault key, by which a wrong key is known at start.
CREATE TABLE vault (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  probe BLOB NOT NULL
);

CREATE TABLE keys (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  hash BLOB NOT NULL,
  prefix TEXT NOT NULL,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  dialect TEXT NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX keys_by_hash ON keys (hash);

CREATE TABLE workflows (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  slug TEXT,
  name TEXT NOT NULL,
  folded TEXT NOT NULL,     -- the name without case, for searches
  description TEXT,
  trigger BLOB NOT NULL,
  status TEXT NOT NULL,
  version INTEGER NOT NULL,
  activated INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  canvas BLOB,              -- last, as it may be large and lists do not read it
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX workflows_by_slug ON workflows (workspace, slug) WHERE slug IS NOT NULL;

CREATE TABLE versions (
  workspace BLOB NOT NULL,
  workflow BLOB NOT NULL,
  number INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  document BLOB NOT NULL,
  PRIMARY KEY (workspace, workflow, number)
);

CREATE TABLE secrets (
  workspace BLOB NOT NULL,
  workflow BLOB NOT NULL,
  name TEXT NOT NULL,
  sealed BLOB NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, workflow, name)
) WITHOUT ROWID;

CREATE TABLE connections (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  slug TEXT,
  name TEXT NOT NULL,
  provider TEXT NOT NULL,
  status TEXT NOT NULL,
  mode TEXT NOT NULL,
  is_default INTEGER NOT NULL,
  base_url TEXT,
  external_account_id TEXT,
  updated_at INTEGER NOT NULL,
  sealed BLOB,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX connections_by_slug ON connections (workspace, slug) WHERE slug IS NOT NULL;

-- What a simulator has counted: one row per operation, numbered from 1 within (connection, kind).
CREATE TABLE simulations (
  workspace BLOB NOT NULL,
  connection BLOB NOT NULL,
  kind TEXT NOT NULL,
  operation TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (workspace, connection, kind, operation)
) WITHOUT ROWID;
CREATE UNIQUE INDEX simulations_by_number ON simulations (workspace, connection, kind, number);

CREATE TABLE runs (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  workflow BLOB NOT NULL,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,
  trigger TEXT NOT NULL,
  waits_on TEXT,
  blocked TEXT,                       -- why a pending run may not be claimed yet
  limited INTEGER NOT NULL DEFAULT 0, -- its workflow limits concurrent runs
  owner BLOB,                         -- the process incarnation that walks it
  epoch INTEGER NOT NULL,
  signals INTEGER NOT NULL DEFAULT 0,
  deaths INTEGER NOT NULL DEFAULT 0,
  seq INTEGER NOT NULL DEFAULT 0,     -- counts what happens in the run; event streams number by it
  state_seq INTEGER NOT NULL DEFAULT 0,
  attempt INTEGER NOT NULL DEFAULT 1,
  started_at INTEGER,
  ended_at INTEGER,
  restarted_from BLOB,
  parent BLOB,
  connection BLOB,
  input BLOB NOT NULL,
  trigger_data BLOB,
  carried BLOB,
  output BLOB,
  error BLOB,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
-- Lists: every filter is a union of seeks into one of these.
CREATE INDEX runs_ended ON runs (workspace, state, trigger, id) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_ended_by_workflow ON runs (workspace, workflow, state, trigger, id) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_open ON runs (workspace, state, trigger, id) WHERE ended_at IS NULL;
CREATE INDEX runs_open_by_workflow ON runs (workspace, workflow, state, trigger, id) WHERE ended_at IS NULL;
-- Claims, concurrency limits and what they hold back: all small.
CREATE INDEX runs_ready ON runs (workspace, id) WHERE ended_at IS NULL AND owner IS NULL AND waits_on IS NULL AND blocked IS NULL AND state <> 'paused';
CREATE INDEX runs_limited ON runs (workspace, workflow, id) WHERE limited = 1 AND ended_at IS NULL AND blocked IS NULL;
CREATE INDEX runs_blocked ON runs (workspace, workflow, id) WHERE blocked IS NOT NULL;

CREATE TABLE records (
  workspace BLOB NOT NULL,
  run BLOB NOT NULL,
  path TEXT NOT NULL,
  step TEXT NOT NULL,
  status TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  started_seq INTEGER NOT NULL,
  ended_seq INTEGER,
  started_at INTEGER,
  ended_at INTEGER,
  reused INTEGER NOT NULL DEFAULT 0,
  input BLOB,
  output BLOB,
  error BLOB,
  attempts BLOB,
  data BLOB,
  PRIMARY KEY (workspace, run, path)
) WITHOUT ROWID;

CREATE TABLE timers (
  workspace BLOB NOT NULL,
  run BLOB NOT NULL,
  path TEXT NOT NULL,
  kind TEXT NOT NULL,
  due INTEGER NOT NULL,
  PRIMARY KEY (workspace, run, path, kind)
) WITHOUT ROWID;
CREATE INDEX timers_by_due ON timers (due);

CREATE TABLE idempotency (
  workspace BLOB NOT NULL,
  workflow BLOB NOT NULL,
  key TEXT NOT NULL,
  run BLOB NOT NULL,
  digest BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, workflow, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE payloads (
  workspace BLOB NOT NULL,
  run BLOB NOT NULL,
  digest BLOB NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (workspace, run, digest)
);

-- One row, written to see whether the file can be written.
CREATE TABLE probes (
  id INTEGER NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL
);

-- What the server is to do later on its own account: one row per operation, until it is done or given up.
CREATE TABLE outbox (
  workspace BLOB NOT NULL,
  operation TEXT NOT NULL,
  due INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  sealed BLOB NOT NULL,
  PRIMARY KEY (workspace, operation)
);
CREATE INDEX outbox_by_due ON outbox (due);
