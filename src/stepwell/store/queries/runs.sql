-- What a run's life needs. SQLite chooses the primary key over a partial index when it knows no statistics, and would
-- then walk over all runs of a workspace: so the statements that list and claim name their index.

-- name: insert_run
-- Store a new run. Positional, like put_record: binding by name costs as much again as the statement itself.
INSERT INTO runs (workspace, id, workflow, version, state, trigger, blocked, limited, owner, epoch, seq, attempt,
                  restarted_from, parent, awaited, depth, connection, input, trigger_data, carried, fired_by, end_user,
                  chain, mock, budget, over_budget, key)
VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: take_idempotency_key
-- Bind a key to a run, unless it is bound to one younger than the limit that still exists; its changes say which.
INSERT INTO idempotency (workspace, workflow, key, run, digest, created_at)
VALUES (:workspace, :workflow, :key, :run, :digest, :created_at)
ON CONFLICT (workspace, workflow, key) DO UPDATE
SET run = excluded.run, digest = excluded.digest, created_at = excluded.created_at
WHERE idempotency.created_at <= :expired
   OR NOT EXISTS (SELECT 1 FROM runs WHERE runs.workspace = idempotency.workspace AND runs.id = idempotency.run);

-- name: find_idempotency_key
-- The run a key is bound to.
SELECT run, digest FROM idempotency
WHERE workspace = :workspace AND workflow = :workflow AND key = :key AND created_at > :expired
  AND EXISTS (SELECT 1 FROM runs WHERE runs.workspace = idempotency.workspace AND runs.id = idempotency.run);

-- name: count_limited
-- How many runs of a workflow take a place under its limit.
SELECT count(*) FROM runs INDEXED BY runs_limited
WHERE workspace = :workspace AND workflow = :workflow AND limited = 1 AND ended_at IS NULL AND blocked IS NULL;

-- name: unblock_oldest
-- Free the oldest run that waits for a place under its workflow's limit.
UPDATE runs SET blocked = NULL
WHERE workspace = :workspace AND id = (
  SELECT id FROM runs INDEXED BY runs_blocked
  WHERE workspace = :workspace AND workflow = :workflow AND blocked IS NOT NULL ORDER BY id LIMIT 1);

-- name: workflow_of_limited
-- The workflow of a run that takes a place under a limit.
SELECT workflow FROM runs WHERE workspace = :workspace AND id = :run AND limited = 1 AND blocked IS NULL;

-- name: advance_run
-- Note a walk's progress; a run that was paused meanwhile stays paused.
UPDATE runs SET state = CASE WHEN state = 'paused' THEN state ELSE :state END, seq = :seq, state_seq = :state_seq, started_at = coalesce(started_at, :started_at),
                deaths = CASE WHEN :progress THEN 0 ELSE deaths END
WHERE workspace = :workspace AND id = :run AND epoch = :epoch AND ended_at IS NULL
RETURNING signals;

-- name: suspend_run
-- Let a run go that waits or is paused, if its walk has seen all that reached it; having come so far clears its deaths.
UPDATE runs SET state = CASE WHEN state = 'paused' THEN state ELSE :state END, seq = :seq, state_seq = :state_seq,
                started_at = coalesce(started_at, :started_at), owner = NULL, deaths = 0,
                waits_on = CASE WHEN 'paused' IN (state, :state) THEN NULL ELSE :waits_on END
WHERE workspace = :workspace AND id = :run AND epoch = :epoch AND ended_at IS NULL AND signals = :signals
RETURNING signals;

-- name: finish_run
-- End a run with its result, unless it is paused.
UPDATE runs SET state = :state, seq = :seq, state_seq = :state_seq, started_at = coalesce(started_at, :started_at), owner = NULL, waits_on = NULL,
                deaths = 0, ended_at = :ended_at, output = :output, error = :error
WHERE workspace = :workspace AND id = :run AND epoch = :epoch AND ended_at IS NULL AND state <> 'paused'
RETURNING limited, CASE WHEN awaited = 1 THEN parent END, signals;

-- name: put_record
-- Write a record, or what has become of it; a final one stays as it is.
INSERT INTO records (workspace, run, path, step, status, attempt, started_seq, ended_seq, started_at, ended_at, reused,
                     input, output, error, attempts, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace, run, path) DO UPDATE
SET status = excluded.status, attempt = excluded.attempt, ended_seq = excluded.ended_seq, started_at = excluded.started_at,
    ended_at = excluded.ended_at, input = excluded.input, output = excluded.output, error = excluded.error,
    attempts = excluded.attempts, data = excluded.data
WHERE records.status IN ('running', 'waiting');

-- name: put_payload
-- Keep a large value; equal ones of a run once.
INSERT INTO payloads (workspace, run, digest, data) VALUES (:workspace, :run, :digest, :data)
ON CONFLICT (workspace, run, digest) DO NOTHING;

-- name: get_payload
-- A large value.
SELECT data FROM payloads WHERE workspace = :workspace AND run = :run AND digest = :digest;

-- name: put_timer
-- Set a timer, or set it anew.
INSERT INTO timers (workspace, run, path, kind, due) VALUES (:workspace, :run, :path, :kind, :due)
ON CONFLICT (workspace, run, path, kind) DO UPDATE SET due = excluded.due;

-- name: drop_timers
-- Forget the timers of a run.
DELETE FROM timers WHERE workspace = :workspace AND run = :run;

-- name: drop_timer
-- Forget one timer.
DELETE FROM timers WHERE workspace = :workspace AND run = :run AND path = :path AND kind = :kind;

-- name: due_timers
-- The timers whose time has come, oldest first.
SELECT workspace, run, path, kind FROM timers WHERE due <= :now ORDER BY due LIMIT :limit;

-- name: next_timer
-- When the next timer is due.
SELECT min(due) FROM timers;

-- name: signal_run
-- Note that something reached an open run; without an owner it may be claimed now.
UPDATE runs SET signals = signals + 1, waits_on = NULL
WHERE workspace = :workspace AND id = :run AND ended_at IS NULL
RETURNING owner;

-- name: end_run
-- End a run from outside its walk: the epoch rises, so that what the walk still writes is refused.
UPDATE runs SET state = :state, epoch = epoch + 1, signals = signals + 1, seq = seq + :closed + 1,
                state_seq = seq + :closed + 1, owner = NULL,
                waits_on = NULL, blocked = NULL, ended_at = :now, error = :error
WHERE workspace = :workspace AND id = :run AND ended_at IS NULL;

-- name: get_ending
-- What has to be known of a run to end it: its workflow if a place under a limit becomes free, its parent if that waits.
SELECT state, seq, owner, CASE WHEN limited = 1 AND blocked IS NULL THEN workflow END,
       CASE WHEN awaited = 1 THEN parent END
FROM runs WHERE workspace = :workspace AND id = :run;

-- name: left_behind
-- What a run that ends leaves: timers, waits, events, pending approvals, tasks, runs that it waited for.
SELECT EXISTS (SELECT 1 FROM timers WHERE workspace = :workspace AND run = :run),
       EXISTS (SELECT 1 FROM waits WHERE workspace = :workspace AND run = :run),
       EXISTS (SELECT 1 FROM events WHERE workspace = :workspace AND run = :run),
       EXISTS (SELECT 1 FROM approvals WHERE workspace = :workspace AND run = :run AND status = 'pending'),
       EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_by_run WHERE workspace = :workspace AND run = :run),
       EXISTS (SELECT 1 FROM runs INDEXED BY runs_awaited
               WHERE workspace = :workspace AND parent = :run AND awaited = 1 AND ended_at IS NULL);

-- name: awaited_below
-- The open runs that a run waits for.
SELECT id FROM runs INDEXED BY runs_awaited
WHERE workspace = :workspace AND parent = :run AND awaited = 1 AND ended_at IS NULL;

-- name: is_awaited
-- Whether a run is one that another waits for.
SELECT 1 FROM runs WHERE workspace = :workspace AND id = :child AND parent = :run AND awaited = 1;

-- name: open_records
-- The paths of a run that have no outcome yet.
SELECT path FROM records WHERE workspace = :workspace AND run = :run AND status IN ('running', 'waiting')
ORDER BY started_seq;

-- name: close_record
-- Close a record with an error that comes from outside.
UPDATE records SET status = 'error', ended_at = :now, ended_seq = :seq, error = :error
WHERE workspace = :workspace AND run = :run AND path = :path;

-- name: claim_ready
-- Take runs of a workspace that may go on, oldest first.
UPDATE runs SET owner = :owner, epoch = epoch + 1
WHERE workspace = :workspace AND id IN (
  SELECT id FROM runs INDEXED BY runs_ready
  WHERE workspace = :workspace AND ended_at IS NULL AND owner IS NULL AND waits_on IS NULL AND blocked IS NULL
    AND state <> 'paused'
  ORDER BY id LIMIT :limit)
RETURNING workspace, id, epoch, deaths;

-- name: claim_suspect
-- Take one run that processes died on.
UPDATE runs SET owner = :owner, epoch = epoch + 1
WHERE (workspace, id) = (
  SELECT workspace, id FROM runs INDEXED BY runs_ready
  WHERE ended_at IS NULL AND owner IS NULL AND waits_on IS NULL AND blocked IS NULL AND state <> 'paused'
    AND deaths >= :suspect
  LIMIT 1)
RETURNING workspace, id, epoch, deaths;

-- name: ready_workspaces
-- The workspaces that have runs to claim.
WITH RECURSIVE each (workspace) AS (
  SELECT min(workspace) FROM runs INDEXED BY runs_ready
  WHERE ended_at IS NULL AND owner IS NULL AND waits_on IS NULL AND blocked IS NULL AND state <> 'paused'
  UNION ALL
  SELECT (SELECT min(runs.workspace) FROM runs INDEXED BY runs_ready
          WHERE runs.workspace > each.workspace AND ended_at IS NULL AND owner IS NULL AND waits_on IS NULL
            AND blocked IS NULL AND state <> 'paused')
  FROM each WHERE each.workspace IS NOT NULL)
SELECT workspace FROM each WHERE workspace IS NOT NULL;

-- name: release_dead
-- Let go the runs of processes that are gone, and count the death against them.
UPDATE runs SET owner = NULL, deaths = deaths + 1
WHERE (workspace, id) IN (
  SELECT workspace, id FROM runs INDEXED BY runs_open WHERE ended_at IS NULL AND owner IS NOT NULL AND owner <> :owner LIMIT :limit);

-- name: release_owned
-- Let go the runs of a process that stops in good order.
UPDATE runs INDEXED BY runs_open SET owner = NULL WHERE ended_at IS NULL AND owner = :owner;

-- name: count_open
-- How many runs are not final.
SELECT count(*) FROM runs INDEXED BY runs_open WHERE ended_at IS NULL;

-- name: get_run
-- One run, whole.
SELECT id, workflow, version, state, trigger, waits_on, blocked, owner, epoch, signals, deaths, seq, state_seq, attempt,
       started_at, ended_at, restarted_from, parent, connection, error, depth, fired_by, end_user,
       chain, mock, cost, budget, over_budget, key, held, excused, steered_at, input, trigger_data, output, carried
FROM runs WHERE workspace = :workspace AND id = :run;

-- name: get_state
-- A run's state and the number of the last thing that happened in it.
SELECT state, seq, epoch, signals FROM runs WHERE workspace = :workspace AND id = :run;

-- name: get_records
-- The journal of a run in the order in which its paths were started or skipped.
SELECT path, step, status, attempt, started_seq, ended_seq, started_at, ended_at, reused, input, output, error, attempts,
       data, cost
FROM records WHERE workspace = :workspace AND run = :run ORDER BY started_seq;

-- name: get_input
-- A run's input alone.
SELECT input FROM runs WHERE workspace = :workspace AND id = :run;

-- name: get_timers
-- The timers of a run.
SELECT path, kind, due FROM timers WHERE workspace = :workspace AND run = :run;

-- name: list_all
-- A page of a workspace's runs.
SELECT id FROM runs WHERE workspace = :workspace AND id < :before AND id >= :after ORDER BY id DESC LIMIT :limit;

-- name: list_ended
-- A page of the ended runs of one state and trigger.
SELECT id FROM runs INDEXED BY runs_ended
WHERE workspace = :workspace AND state = :state AND trigger = :trigger AND id < :before AND id >= :after
  AND ended_at IS NOT NULL
ORDER BY id DESC LIMIT :limit;

-- name: list_ended_of_workflow
-- A page of a workflow's ended runs of one state and trigger.
SELECT id FROM runs INDEXED BY runs_ended_by_workflow
WHERE workspace = :workspace AND workflow = :workflow AND state = :state AND trigger = :trigger AND id < :before
  AND id >= :after AND ended_at IS NOT NULL
ORDER BY id DESC LIMIT :limit;

-- name: list_open
-- A page of the open runs of one state and trigger.
SELECT id FROM runs INDEXED BY runs_open
WHERE workspace = :workspace AND state = :state AND trigger = :trigger AND id < :before AND id >= :after
  AND ended_at IS NULL
  AND (:waiting IS NULL OR :waiting = (waits_on IS NOT NULL AND waits_on <> 'retry'))
ORDER BY id DESC LIMIT :limit;

-- name: list_open_of_workflow
-- A page of a workflow's open runs of one state and trigger.
SELECT id FROM runs INDEXED BY runs_open_by_workflow
WHERE workspace = :workspace AND state = :state AND trigger = :trigger AND id < :before AND id >= :after
  AND workflow = :workflow AND ended_at IS NULL
  AND (:waiting IS NULL OR :waiting = (waits_on IS NOT NULL AND waits_on <> 'retry'))
ORDER BY id DESC LIMIT :limit;

-- name: get_listed
-- What a list shows of a run; no input, no output.
SELECT id, workflow, version, state, trigger, waits_on, blocked, owner, epoch, signals, deaths, seq, state_seq, attempt,
       started_at, ended_at, restarted_from, parent, connection, error, depth, fired_by, end_user,
       chain, mock, cost, budget, over_budget, key, held, excused, steered_at
FROM runs WHERE workspace = :workspace AND id = :run;

-- name: delete_run
-- Remove a final run.
DELETE FROM runs WHERE workspace = :workspace AND id = :run AND ended_at IS NOT NULL;

-- name: delete_records
-- Remove the journal of a run.
DELETE FROM records WHERE workspace = :workspace AND run = :run;

-- name: delete_payloads
-- Remove the large values of a run.
DELETE FROM payloads WHERE workspace = :workspace AND run = :run;

-- name: delete_idempotency_keys
-- Forget keys that have run out.
DELETE FROM idempotency WHERE (workspace, workflow, key) IN (
  SELECT workspace, workflow, key FROM idempotency WHERE created_at <= :expired LIMIT :limit);

-- name: nth_newest
-- The run at a place of a workspace's runs, the newest being the first. Walks over all before it.
SELECT id FROM runs WHERE workspace = :workspace ORDER BY id DESC LIMIT 1 OFFSET :place - 1;

-- name: prunable
-- Ended runs below an id, oldest first.
SELECT workspace, id FROM runs WHERE workspace = :workspace AND id < :before AND ended_at IS NOT NULL ORDER BY id LIMIT :limit;

-- name: probe
-- Write a row, to see whether the file can be written.
INSERT INTO probes (id, at) VALUES (1, :now) ON CONFLICT (id) DO UPDATE SET at = excluded.at;

-- name: vacuum
-- Give freed pages back to the file system.
PRAGMA incremental_vacuum(2000);
