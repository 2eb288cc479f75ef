-- Work that runs hand to workers outside: one row a task, values as JSON text, costs in millionths of a cent.
CREATE TABLE tasks (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  run BLOB NOT NULL,
  workflow BLOB NOT NULL,
  path TEXT NOT NULL,
  step TEXT NOT NULL,
  status TEXT NOT NULL,
  title TEXT NOT NULL,
  description TEXT,
  task_type TEXT,
  score INTEGER,
  cost INTEGER NOT NULL,
  declared INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  auto_accept INTEGER NOT NULL,
  min_score INTEGER,
  max_cost INTEGER,
  worker TEXT,
  token BLOB,               -- the hash of the claim's token
  lease_until INTEGER,
  claimed_at INTEGER,
  error BLOB,
  reject_reason TEXT,
  approved_by TEXT,
  approved_at INTEGER,
  started_at INTEGER,
  completed_at INTEGER,
  updated_at INTEGER NOT NULL,
  template BLOB NOT NULL,   -- last, as they may be large
  input BLOB NOT NULL,
  output BLOB,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE INDEX tasks_open ON tasks (workspace, id) WHERE status = 'open';
CREATE INDEX tasks_open_by_type ON tasks (workspace, task_type, id) WHERE status = 'open';
CREATE INDEX tasks_claimed ON tasks (workspace, lease_until) WHERE status = 'claimed';
CREATE INDEX tasks_by_status ON tasks (workspace, status, id);
CREATE INDEX tasks_by_run ON tasks (workspace, run, path);
