-- Tasks: opened by commits of runs, claimed and done by workers, decided by people. A change is written only over what
-- was read in the same transaction.

-- name: insert_task
-- Open a task; one of an id stays as it is.
INSERT INTO tasks (workspace, id, run, workflow, path, step, status, title, description, task_type, score, cost, declared,
                   attempts, max_attempts, auto_accept, min_score, max_cost, worker, token, lease_until, claimed_at,
                   error, reject_reason, approved_by, approved_at, started_at, completed_at, updated_at, template, input,
                   output)
VALUES (:workspace, :id, :run, :workflow, :path, :step, :status, :title, :description, :task_type, :score, :cost,
        :declared, :attempts, :max_attempts, :auto_accept, :min_score, :max_cost, :worker, :token, :lease_until,
        :claimed_at, :error, :reject_reason, :approved_by, :approved_at, :started_at, :completed_at, :updated_at,
        :template, :input, :output)
ON CONFLICT (workspace, id) DO NOTHING;

-- name: get_task
-- One task.
SELECT * FROM tasks WHERE workspace = :workspace AND id = :id;

-- name: list_tasks
-- A page of a workspace's tasks.
SELECT * FROM tasks WHERE workspace = :workspace ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: list_tasks_of_status
-- A page of a workspace's tasks of one status.
SELECT * FROM tasks INDEXED BY tasks_by_status
WHERE workspace = :workspace AND status = :status ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: count_tasks
-- How many tasks a workspace has.
SELECT count(*) FROM tasks WHERE workspace = :workspace;

-- name: count_tasks_of_status
-- How many tasks of one status a workspace has.
SELECT count(*) FROM tasks INDEXED BY tasks_by_status WHERE workspace = :workspace AND status = :status;

-- name: tasks_of_run
-- The tasks of a run without what is large; of outputs those that a step has still to take.
SELECT workspace, id, run, workflow, path, step, status, title, NULL, task_type, score, cost, declared, attempts,
       max_attempts, auto_accept, min_score, max_cost, worker, token, lease_until, claimed_at, error, reject_reason,
       approved_by, approved_at, started_at, completed_at, updated_at, x'7b7d', x'7b7d',
       CASE WHEN status = 'accepted' AND EXISTS (
         SELECT 1 FROM records WHERE records.workspace = tasks.workspace AND records.run = tasks.run
           AND records.path = tasks.path AND records.status = 'waiting') THEN output END
FROM tasks INDEXED BY tasks_by_run WHERE workspace = :workspace AND run = :run;

-- name: task_at
-- The task that a path of a run waits for, if somebody holds it.
SELECT * FROM tasks INDEXED BY tasks_by_run
WHERE workspace = :workspace AND run = :run AND path = :path AND status = 'claimed';

-- name: oldest_open_task
-- The task that has been open the longest, of any type.
SELECT * FROM tasks INDEXED BY tasks_open WHERE workspace = :workspace AND status = 'open' ORDER BY id LIMIT 1;

-- name: oldest_open_task_of
-- The same, of one of some types: the oldest of the oldest of each.
SELECT * FROM tasks WHERE workspace = :workspace AND id = (
  SELECT min(oldest) FROM (
    SELECT (SELECT id FROM tasks INDEXED BY tasks_open_by_type
            WHERE workspace = :workspace AND task_type = each.value AND status = 'open' ORDER BY id LIMIT 1) AS oldest
    FROM json_each(:types) AS each));

-- name: overdue_tasks
-- Claimed tasks whose leases are over.
SELECT * FROM tasks INDEXED BY tasks_claimed
WHERE workspace = :workspace AND status = 'claimed' AND lease_until <= :now LIMIT 100;

-- name: save_task
-- Write what has become of a task.
UPDATE tasks SET status = :status, output = :output, score = :score, cost = :cost, attempts = :attempts,
                 worker = :worker, token = :token, lease_until = :lease_until, claimed_at = :claimed_at, error = :error,
                 reject_reason = :reject_reason, approved_by = :approved_by, approved_at = :approved_at,
                 started_at = :started_at, completed_at = :completed_at, updated_at = max(:updated_at, updated_at)
WHERE workspace = :workspace AND id = :id;

-- name: put_lease
-- Set the timer of a lease.
INSERT INTO timers (workspace, run, path, kind, due) VALUES (:workspace, :run, :path, 'lease', :due)
ON CONFLICT (workspace, run, path, kind) DO UPDATE SET due = excluded.due;

-- name: drop_lease
-- Forget the timer of a lease.
DELETE FROM timers WHERE workspace = :workspace AND run = :run AND path = :path AND kind = 'lease';

-- name: close_tasks
-- What a path waited for is not needed any more.
UPDATE tasks SET status = 'cancelled', token = NULL, lease_until = NULL, completed_at = :now, updated_at = :now
WHERE workspace = :workspace AND run = :run AND path = :path AND status IN ('open', 'claimed', 'review');

-- name: cancel_tasks
-- A run has ended: nothing of it is to be done any more.
UPDATE tasks SET status = 'cancelled', token = NULL, lease_until = NULL, completed_at = :now, updated_at = :now
WHERE workspace = :workspace AND run = :run AND status IN ('open', 'claimed', 'review');

-- name: expire_tasks
-- The time of a step is over before its task was done.
UPDATE tasks SET status = 'failed', token = NULL, lease_until = NULL, error = :error, completed_at = :now, updated_at = :now
WHERE workspace = :workspace AND run = :run AND path = :path AND status IN ('open', 'claimed', 'review');

-- name: count_undone
-- How many tasks of a workspace are not done; counted up to a number.
SELECT count(*) FROM (
  SELECT 1 FROM tasks INDEXED BY tasks_by_status
  WHERE workspace = :workspace AND status IN ('open', 'claimed', 'review') LIMIT :most);

-- name: drop_room
-- A path looks for room no longer.
DELETE FROM timers WHERE workspace = :workspace AND run = :run AND path = :path AND kind = 'room';

-- name: delete_tasks
-- Remove the tasks of a run.
DELETE FROM tasks WHERE workspace = :workspace AND run = :run;
