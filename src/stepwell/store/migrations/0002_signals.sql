-- What reaches a run from outside, and runs below runs.

ALTER TABLE runs ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0; -- the parent waits for it
CREATE INDEX runs_awaited ON runs (workspace, parent) WHERE awaited = 1 AND ended_at IS NULL;

-- Events that no step has taken yet, by arrival.
CREATE TABLE events (
  workspace BLOB NOT NULL,
  run BLOB NOT NULL,
  id BLOB NOT NULL,
  type TEXT NOT NULL,
  payload BLOB NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, run, id)
) WITHOUT ROWID;

-- Which paths wait for events of a type.
CREATE TABLE waits (
  workspace BLOB NOT NULL,
  run BLOB NOT NULL,
  path TEXT NOT NULL,
  type TEXT NOT NULL,
  PRIMARY KEY (workspace, run, path)
) WITHOUT ROWID;
CREATE INDEX waits_by_type ON waits (workspace, type, run);

CREATE TABLE approvals (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  run BLOB NOT NULL,
  workflow BLOB NOT NULL,
  path TEXT NOT NULL,
  step TEXT NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  approvers TEXT NOT NULL,   -- a JSON list
  require_all INTEGER NOT NULL,
  context BLOB,
  decisions BLOB NOT NULL,
  expires_at INTEGER,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE INDEX approvals_by_status ON approvals (workspace, status, id);
CREATE INDEX approvals_by_run ON approvals (workspace, run, path);

-- The tokens that decide an approval without a key, hashed; gone once used or of no use.
CREATE TABLE approval_tokens (
  hash BLOB NOT NULL PRIMARY KEY,
  workspace BLOB NOT NULL,
  approval BLOB NOT NULL,
  approver TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX approval_tokens_by_approval ON approval_tokens (workspace, approval);

-- Events for many runs that have not been handed out to all of them.
CREATE TABLE broadcasts (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  type TEXT NOT NULL,
  payload BLOB NOT NULL,
  received_at INTEGER NOT NULL,
  match BLOB,
  cursor BLOB,
  delivered INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
