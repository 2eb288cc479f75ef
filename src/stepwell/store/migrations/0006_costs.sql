-- What runs cost, and budgets. Amounts are whole millionths of a cent.

ALTER TABLE records ADD COLUMN cost INTEGER NOT NULL DEFAULT 0;

ALTER TABLE runs ADD COLUMN cost INTEGER NOT NULL DEFAULT 0;
-- What the run may cost, fixed at its start, and whether it stops or asks then.
ALTER TABLE runs ADD COLUMN budget INTEGER;
ALTER TABLE runs ADD COLUMN over_budget TEXT;
-- The key that started the run, whose spending it is too.
ALTER TABLE runs ADD COLUMN key BLOB;
-- The budget that keeps the run from further steps, as JSON; whether it is paused by that or ends, its state says.
ALTER TABLE runs ADD COLUMN held BLOB;
-- Whether somebody has let the run go on in spite of a monthly budget.
ALTER TABLE runs ADD COLUMN excused INTEGER NOT NULL DEFAULT 0;

-- What may be spent in a calendar month (UTC); the subject is the workspace itself or a key of it.
CREATE TABLE budgets (
  workspace BLOB NOT NULL,
  subject BLOB NOT NULL,
  amount INTEGER NOT NULL,
  action TEXT NOT NULL,
  PRIMARY KEY (workspace, subject)
) WITHOUT ROWID;

-- What was spent in a month (yyyymm).
CREATE TABLE spending (
  workspace BLOB NOT NULL,
  subject BLOB NOT NULL,
  month INTEGER NOT NULL,
  amount INTEGER NOT NULL,
  PRIMARY KEY (workspace, subject, month)
) WITHOUT ROWID;
