-- What reaches runs from outside, and what they wait for. The two reads that every load of a run makes neither sort nor
-- join: either costs ten times as much as finding nothing does.

-- name: insert_event
-- Keep an event for a run; one of an id once.
INSERT INTO events (workspace, run, id, type, payload, received_at)
VALUES (:workspace, :run, :id, :type, :payload, :received_at)
ON CONFLICT (workspace, run, id) DO NOTHING;

-- name: get_events
-- The events of a run that no step has taken.
SELECT id, type, payload, received_at FROM events WHERE workspace = :workspace AND run = :run;

-- name: events_full
-- How many other events of a run no step has taken, counted no further than `most`.
SELECT count(*) FROM (
  SELECT 1 FROM events WHERE workspace = :workspace AND run = :run AND id <> :id LIMIT :most);

-- name: takes_event
-- Whether an open wait of a type takes the next event: the run is not paused, and no earlier event is on its way to it.
SELECT state <> 'paused'
  AND (SELECT count(*) FROM waits WHERE workspace = :workspace AND run = :run AND type = :type)
    > (SELECT count(*) FROM events WHERE workspace = :workspace AND run = :run AND type = :type)
FROM runs WHERE workspace = :workspace AND id = :run;

-- name: sent_event
-- Whether a wait was open for an event that was sent under an id before.
SELECT delivered FROM sent_events WHERE workspace = :workspace AND run = :run AND id = :id;

-- name: insert_sent_event
-- Note what became of an event that was sent under an id.
INSERT INTO sent_events (workspace, run, id, delivered) VALUES (:workspace, :run, :id, :delivered);

-- name: delete_sent_events
-- Forget the ids under which a run was sent events.
DELETE FROM sent_events WHERE workspace = :workspace AND run = :run;

-- name: take_event
-- Forget an event that a step has taken.
DELETE FROM events WHERE workspace = :workspace AND run = :run AND id = :id;

-- name: drop_events
-- Forget the events of a run.
DELETE FROM events WHERE workspace = :workspace AND run = :run;

-- name: put_wait
-- Note that a path waits for events of a type.
INSERT INTO waits (workspace, run, path, type) VALUES (:workspace, :run, :path, :type)
ON CONFLICT (workspace, run, path) DO UPDATE SET type = excluded.type;

-- name: close_wait
-- A path waits for no event any more.
DELETE FROM waits WHERE workspace = :workspace AND run = :run AND path = :path;

-- name: drop_waits
-- A run waits for no event any more.
DELETE FROM waits WHERE workspace = :workspace AND run = :run;

-- name: close_timers
-- Forget the timers of a path.
DELETE FROM timers WHERE workspace = :workspace AND run = :run AND path = :path;

-- name: insert_approval
-- Store an approval; one of an id stays as it is.
INSERT INTO approvals (workspace, id, run, workflow, path, step, status, reason, approvers, require_all, context,
                       decisions, expires_at)
VALUES (:workspace, :id, :run, :workflow, :path, :step, :status, :reason, :approvers, :require_all, :context,
        :decisions, :expires_at)
ON CONFLICT (workspace, id) DO NOTHING;

-- name: get_approval
-- One approval.
SELECT id, run, workflow, path, step, status, reason, approvers, require_all, context, decisions, expires_at
FROM approvals WHERE workspace = :workspace AND id = :id;

-- name: approvals_of_run
-- All approvals of a run.
SELECT id, run, workflow, path, step, status, reason, approvers, require_all, context, decisions, expires_at
FROM approvals INDEXED BY approvals_by_run WHERE workspace = :workspace AND run = :run;

-- name: open_paths
-- The paths of a run that have no outcome yet.
SELECT path FROM records WHERE workspace = :workspace AND run = :run AND status IN ('running', 'waiting');

-- name: list_approvals
-- A page of a workspace's approvals.
SELECT id, run, workflow, path, step, status, reason, approvers, require_all, context, decisions, expires_at
FROM approvals WHERE workspace = :workspace AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: list_approvals_of_status
-- A page of a workspace's approvals of one status.
SELECT id, run, workflow, path, step, status, reason, approvers, require_all, context, decisions, expires_at
FROM approvals INDEXED BY approvals_by_status
WHERE workspace = :workspace AND status = :status AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: decide_approval
-- Write what was decided, if nobody has decided since it was read.
UPDATE approvals SET status = :status, decisions = :decisions
WHERE workspace = :workspace AND id = :id AND status = 'pending' AND decisions = :seen
RETURNING run;

-- name: close_approvals
-- The pending approval of a path ends undecided.
UPDATE approvals SET status = :status WHERE workspace = :workspace AND run = :run AND path = :path AND status = 'pending';

-- name: cancel_approvals
-- The pending approvals of a run end undecided.
UPDATE approvals SET status = 'cancelled' WHERE workspace = :workspace AND run = :run AND status = 'pending';

-- name: delete_approvals
-- Remove the approvals of a run.
DELETE FROM approvals WHERE workspace = :workspace AND run = :run;

-- name: put_token
-- Keep the hash of an approver's token, while the approval is pending.
INSERT INTO approval_tokens (hash, workspace, approval, approver)
SELECT :hash, workspace, id, :approver FROM approvals WHERE workspace = :workspace AND id = :id AND status = 'pending'
ON CONFLICT (hash) DO NOTHING;

-- name: get_tokens
-- The tokens of an approval.
SELECT approver, hash FROM approval_tokens WHERE workspace = :workspace AND approval = :id ORDER BY approver;

-- name: find_token
-- What a token decides, in whichever workspace: it is what tells the workspace.
SELECT workspace, approval, approver FROM approval_tokens WHERE hash = :hash;

-- name: delete_tokens
-- Forget the tokens of an approval.
DELETE FROM approval_tokens WHERE workspace = :workspace AND approval = :id;

-- name: close_tokens
-- Forget the tokens of a path's pending approval.
DELETE FROM approval_tokens WHERE (workspace, approval) IN (
  SELECT workspace, id FROM approvals
  WHERE workspace = :workspace AND run = :run AND path = :path AND status = 'pending');

-- name: drop_tokens
-- Forget the tokens of a run's pending approvals.
DELETE FROM approval_tokens WHERE (workspace, approval) IN (
  SELECT workspace, id FROM approvals WHERE workspace = :workspace AND run = :run AND status = 'pending');

-- name: get_owner
-- Who holds a run.
SELECT owner FROM runs WHERE workspace = :workspace AND id = :run;

-- name: pause_run
-- Pause an open run. A walk that owns it numbers the change itself.
UPDATE runs SET state = 'paused', waits_on = NULL, signals = signals + 1, steered_at = :now,
                seq = seq + (owner IS NULL), state_seq = CASE WHEN owner IS NULL THEN seq + 1 ELSE state_seq END
WHERE workspace = :workspace AND id = :run AND ended_at IS NULL AND state <> 'paused'
RETURNING owner;

-- name: paused_owner
-- Who holds a run that is paused.
SELECT owner FROM runs WHERE workspace = :workspace AND id = :run AND state = 'paused';

-- name: resume_run
-- Let a paused run go on. A walk that owns it numbers the change itself.
UPDATE runs SET state = CASE WHEN started_at IS NULL THEN 'pending' ELSE 'running' END, waits_on = NULL,
                signals = signals + 1, steered_at = :now,
                seq = seq + (owner IS NULL), state_seq = CASE WHEN owner IS NULL THEN seq + 1 ELSE state_seq END
WHERE workspace = :workspace AND id = :run AND state = 'paused'
RETURNING owner;

-- name: insert_broadcast
-- Keep an event for many runs.
INSERT INTO broadcasts (workspace, id, type, payload, received_at, match)
VALUES (:workspace, :id, :type, :payload, :received_at, :match)
ON CONFLICT (workspace, id) DO NOTHING;

-- name: broadcast_at
-- Whether a broadcast has come so far.
SELECT 1 FROM broadcasts WHERE workspace = :workspace AND id = :id AND cursor IS :cursor;

-- name: advance_broadcast
-- Note how far a broadcast has come, and how many runs it has reached on the way.
UPDATE broadcasts SET cursor = :cursor, delivered = delivered + :delivered WHERE workspace = :workspace AND id = :id;

-- name: delete_broadcast
-- Forget a broadcast that has come to its end.
DELETE FROM broadcasts WHERE workspace = :workspace AND id = :id;

-- name: list_broadcasts
-- Broadcasts that have not come to their end.
SELECT workspace, id, type, payload, received_at, match, cursor, delivered FROM broadcasts LIMIT :limit;

-- name: open_after
-- The open runs of one state and trigger after an id.
SELECT id FROM runs INDEXED BY runs_open
WHERE workspace = :workspace AND state = :state AND trigger = :trigger AND id > :after AND ended_at IS NULL
ORDER BY id LIMIT :limit;

-- name: waiting_after
-- The runs after an id that wait for events of a type.
SELECT DISTINCT run FROM waits INDEXED BY waits_by_type
WHERE workspace = :workspace AND type = :type AND run > :after ORDER BY run LIMIT :limit;
