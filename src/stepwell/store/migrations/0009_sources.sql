-- What workflows were written as where that is kept apart from their definitions: drafts with versions, deployments,
-- variables, addresses; and the answers of calls that are repeated.

CREATE TABLE source_workflows (
  workspace BLOB NOT NULL,
  workflow BLOB NOT NULL,
  kind TEXT NOT NULL,
  trigger_code TEXT,
  current_version BLOB,
  deployed_version BLOB,
  updated_at INTEGER NOT NULL,
  env_vars BLOB NOT NULL,
  deploy_config BLOB NOT NULL,
  PRIMARY KEY (workspace, workflow)
) WITHOUT ROWID;

CREATE TABLE source_versions (
  workspace BLOB NOT NULL,
  workflow BLOB NOT NULL,
  id BLOB NOT NULL,
  number INTEGER NOT NULL,
  locked INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (workspace, workflow, id)
) WITHOUT ROWID;

CREATE TABLE deployments (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  workflow BLOB NOT NULL,
  version BLOB,
  connection BLOB NOT NULL,
  service_name TEXT NOT NULL,
  service_url TEXT,
  status TEXT NOT NULL,
  error TEXT,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE INDEX deployments_by_workflow ON deployments (workspace, workflow, id);

CREATE TABLE variables (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  name TEXT NOT NULL,
  secret INTEGER NOT NULL,
  value TEXT,
  sealed BLOB,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX variables_by_name ON variables (workspace, name);

-- Addresses of workflows, unique on the server.
CREATE TABLE routes (
  pattern TEXT NOT NULL PRIMARY KEY,
  workspace BLOB NOT NULL,
  workflow BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX routes_by_workflow ON routes (workspace, workflow);

CREATE TABLE repeats (
  workspace BLOB NOT NULL,
  place TEXT NOT NULL,
  key TEXT NOT NULL,
  at INTEGER NOT NULL,
  status INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (workspace, place, key)
) WITHOUT ROWID;
CREATE INDEX repeats_by_age ON repeats (at);
