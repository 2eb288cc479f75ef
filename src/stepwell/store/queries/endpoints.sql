-- Outbound endpoints and their messages.

-- name: count_endpoints
-- How many endpoints a workspace has.
SELECT count(*) FROM endpoints WHERE workspace = :workspace;

-- name: insert_endpoint
-- Store a new endpoint.
INSERT INTO endpoints (workspace, id, url, description, events, enabled, disabled_reason, sealed, sealed_old, old_until,
                       updated_at)
VALUES (:workspace, :id, :url, :description, :events, :enabled, :disabled_reason, :sealed, :sealed_old, :old_until,
        :updated_at);

-- name: get_endpoint
-- One endpoint.
SELECT id, url, description, events, enabled, disabled_reason, failing_since, sealed, sealed_old, old_until, updated_at
FROM endpoints WHERE workspace = :workspace AND id = :id;

-- name: list_endpoints
-- A page of a workspace's endpoints.
SELECT id, url, description, events, enabled, disabled_reason, failing_since, sealed, sealed_old, old_until, updated_at
FROM endpoints WHERE workspace = :workspace AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: save_endpoint
-- Write an edit, if nobody has edited since it was read; one that is enabled again begins anew.
UPDATE endpoints SET url = :url, description = :description, events = :events, disabled_reason = :disabled_reason,
                     failing_since = CASE WHEN :enabled AND NOT enabled THEN NULL ELSE failing_since END,
                     enabled = :enabled, sealed = :sealed, sealed_old = :sealed_old, old_until = :old_until,
                     updated_at = :updated_at
WHERE workspace = :workspace AND id = :id AND updated_at = :seen;

-- name: disable_endpoint
-- Send it nothing more, for a reason that its owner reads.
UPDATE endpoints SET enabled = 0, disabled_reason = :reason, updated_at = max(:now, updated_at + 1)
WHERE workspace = :workspace AND id = :id AND enabled = 1;

-- name: delete_endpoint
-- Remove an endpoint; its messages are removed apart.
DELETE FROM endpoints WHERE workspace = :workspace AND id = :id;

-- name: endpoint_succeeded
-- A try has succeeded.
UPDATE endpoints SET failing_since = NULL WHERE workspace = :workspace AND id = :endpoint AND failing_since IS NOT NULL;

-- name: endpoint_failed
-- A try has failed; since when every one has.
UPDATE endpoints SET failing_since = coalesce(failing_since, :now) WHERE workspace = :workspace AND id = :endpoint
RETURNING failing_since;

-- name: listening
-- All endpoints that are told of anything.
SELECT workspace, id, events FROM endpoints WHERE enabled = 1;

-- name: state_before
-- What a change of a run is told apart by.
SELECT state, started_at FROM runs WHERE workspace = :workspace AND id = :run;

-- name: last_change
-- When something was last recorded in a run.
SELECT max(coalesce(ended_at, started_at)) FROM records WHERE workspace = :workspace AND run = :run;

-- name: tell
-- Keep what happened to a run for an endpoint. Positional, like put_record: it is written with what the run does.
INSERT INTO endpoint_messages (workspace, id, endpoint, type, run, at, status, due, subject, tries)
VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?, x'5b5d')
ON CONFLICT (workspace, id) DO NOTHING;

-- name: insert_message
-- Keep a message to be sent.
INSERT INTO endpoint_messages (workspace, id, endpoint, type, run, at, status, attempts, due, response_status, error,
                               subject, body, tries)
VALUES (:workspace, :id, :endpoint, :type, :run, :at, :status, :attempts, :due, :response_status, :error, :subject,
        :body, :tries)
ON CONFLICT (workspace, id) DO NOTHING;

-- name: get_message
-- One message of an endpoint.
SELECT workspace, id, endpoint, type, run, at, status, attempts, due, response_status, error, subject, body, tries
FROM endpoint_messages WHERE workspace = :workspace AND id = :id AND endpoint = :endpoint;

-- name: list_messages
-- A page of an endpoint's messages of any status: the newest of each, then the newest of these.
WITH each (id) AS (
  SELECT id FROM (
    SELECT id FROM endpoint_messages INDEXED BY endpoint_messages_by_status
    WHERE workspace = :workspace AND endpoint = :endpoint AND status = 'pending' AND id < :before
    ORDER BY id DESC LIMIT :limit)
  UNION ALL SELECT id FROM (
    SELECT id FROM endpoint_messages INDEXED BY endpoint_messages_by_status
    WHERE workspace = :workspace AND endpoint = :endpoint AND status = 'delivered' AND id < :before
    ORDER BY id DESC LIMIT :limit)
  UNION ALL SELECT id FROM (
    SELECT id FROM endpoint_messages INDEXED BY endpoint_messages_by_status
    WHERE workspace = :workspace AND endpoint = :endpoint AND status = 'failed' AND id < :before
    ORDER BY id DESC LIMIT :limit))
SELECT workspace, id, endpoint, type, run, at, status, attempts, due, response_status, error, NULL, NULL, tries
FROM endpoint_messages WHERE workspace = :workspace AND id IN (SELECT id FROM each) ORDER BY id DESC LIMIT :limit;

-- name: list_messages_of_status
-- A page of an endpoint's messages of one status.
SELECT workspace, id, endpoint, type, run, at, status, attempts, due, response_status, error, NULL, NULL, tries
FROM endpoint_messages INDEXED BY endpoint_messages_by_status
WHERE workspace = :workspace AND endpoint = :endpoint AND status = :status AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: due_endpoints
-- The endpoints after one that have a message to be sent now: one seek for each with pending ones.
WITH RECURSIVE each (endpoint) AS (
  SELECT min(endpoint) FROM endpoint_messages INDEXED BY endpoint_messages_pending
  WHERE due IS NOT NULL AND endpoint > :after
  UNION ALL
  SELECT (SELECT min(other.endpoint) FROM endpoint_messages AS other INDEXED BY endpoint_messages_pending
          WHERE other.due IS NOT NULL AND other.endpoint > each.endpoint)
  FROM each WHERE each.endpoint IS NOT NULL)
SELECT endpoint FROM each
WHERE endpoint IS NOT NULL
  AND EXISTS (SELECT 1 FROM endpoint_messages AS own INDEXED BY endpoint_messages_pending
              WHERE own.endpoint = each.endpoint AND own.due <= :now)
LIMIT :limit;

-- name: due_messages
-- What is to be sent to an endpoint now, what is due longest first.
SELECT workspace, id, endpoint, type, run, at, status, attempts, due, response_status, error, subject, body, tries
FROM endpoint_messages INDEXED BY endpoint_messages_pending
WHERE endpoint = :endpoint AND due <= :now ORDER BY due LIMIT :limit;

-- name: next_message
-- When something is due after a time: one seek for each endpoint with pending messages.
WITH RECURSIVE each (endpoint) AS (
  SELECT min(endpoint) FROM endpoint_messages INDEXED BY endpoint_messages_pending WHERE due IS NOT NULL
  UNION ALL
  SELECT (SELECT min(other.endpoint) FROM endpoint_messages AS other INDEXED BY endpoint_messages_pending
          WHERE other.due IS NOT NULL AND other.endpoint > each.endpoint)
  FROM each WHERE each.endpoint IS NOT NULL)
SELECT min((SELECT min(own.due) FROM endpoint_messages AS own INDEXED BY endpoint_messages_pending
            WHERE own.endpoint = each.endpoint AND own.due > :after))
FROM each WHERE endpoint IS NOT NULL;

-- name: record_try
-- Write what became of a message.
UPDATE endpoint_messages SET status = :status, attempts = :attempts, due = :due, response_status = :response_status,
                             error = :error, tries = :tries, body = coalesce(body, :body),
                             subject = CASE WHEN coalesce(body, :body) IS NULL THEN subject END
WHERE workspace = :workspace AND id = :id AND endpoint = :endpoint;

-- name: requeue_message
-- Send a message now, whatever became of it.
UPDATE endpoint_messages SET status = 'pending', due = :now
WHERE workspace = :workspace AND id = :id AND endpoint = :endpoint;

-- name: drop_messages
-- Remove messages of an endpoint.
DELETE FROM endpoint_messages WHERE (workspace, id) IN (
  SELECT workspace, id FROM endpoint_messages INDEXED BY endpoint_messages_by_status
  WHERE workspace = :workspace AND endpoint = :endpoint LIMIT :limit);

-- name: prune_messages
-- Remove messages below an id that are not to be sent any more, oldest first.
DELETE FROM endpoint_messages WHERE (workspace, id) IN (
  SELECT workspace, id FROM endpoint_messages
  WHERE workspace = :workspace AND id < :before AND due IS NULL ORDER BY id LIMIT :limit);
