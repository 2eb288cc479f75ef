-- What runs cost, and what may be spent. Amounts only ever grow by increments: several writers add to the same sums.

-- name: charge_run
-- Add to what a run costs.
UPDATE runs SET cost = cost + :amount WHERE workspace = :workspace AND id = :run RETURNING key, cost;

-- name: charge_record
-- Add to what a step of a run costs.
UPDATE records SET cost = cost + :amount WHERE workspace = :workspace AND run = :run AND path = :path;

-- name: add_spending
-- Add to what was spent in a month.
INSERT INTO spending (workspace, subject, month, amount) VALUES (:workspace, :subject, :month, :amount)
ON CONFLICT (workspace, subject, month) DO UPDATE SET amount = amount + excluded.amount;

-- name: get_spending
-- What was spent in a month.
SELECT amount FROM spending WHERE workspace = :workspace AND subject = :subject AND month = :month;

-- name: hold_run
-- Note which budget keeps a run from further steps.
UPDATE runs SET held = :held WHERE workspace = :workspace AND id = :run;

-- name: get_held
-- Which budget keeps a paused run from further steps.
SELECT held FROM runs WHERE workspace = :workspace AND id = :run AND state = 'paused';

-- name: release_held
-- Let a run go on that a budget has held.
UPDATE runs SET held = NULL, excused = excused OR :excused WHERE workspace = :workspace AND id = :run;

-- name: set_run_budget
-- Give a run another budget, or none.
UPDATE runs SET budget = :budget WHERE workspace = :workspace AND id = :run;

-- name: has_key
-- Whether a workspace has a key.
SELECT 1 FROM keys WHERE workspace = :workspace AND id = :id;

-- name: put_budget
-- Set a budget, or set it anew.
INSERT INTO budgets (workspace, subject, amount, action) VALUES (:workspace, :subject, :amount, :action)
ON CONFLICT (workspace, subject) DO UPDATE SET amount = excluded.amount, action = excluded.action;

-- name: delete_budget
-- Remove a budget.
DELETE FROM budgets WHERE workspace = :workspace AND subject = :subject;

-- name: list_budgets
-- The budgets of all workspaces.
SELECT workspace, subject, amount, action FROM budgets;
