-- name: put_trigger
-- Store a workflow's own trigger, or what has become of it; its counts stay.
INSERT INTO triggers (workspace, id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed,
                      status, reason, scheduled_at, next_at, cursor, updated_at)
VALUES (:workspace, :id, :kind, :slug, :workflow, 0, NULL, :connection, :config, :provider, :path, :sealed,
        :status, :reason, :scheduled_at, :next_at, :cursor, :updated_at)
ON CONFLICT (workspace, id) DO UPDATE
SET kind = excluded.kind, slug = excluded.slug, connection = excluded.connection, config = excluded.config,
    provider = excluded.provider, path = excluded.path, sealed = excluded.sealed, status = excluded.status,
    reason = excluded.reason, scheduled_at = excluded.scheduled_at, next_at = excluded.next_at, cursor = excluded.cursor,
    updated_at = excluded.updated_at;

-- name: upsert_trigger
-- Store an instance, or give the one of the same identity another configuration.
INSERT INTO triggers (workspace, id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed,
                      status, reason, scheduled_at, next_at, cursor, disabled_at, updated_at)
VALUES (:workspace, :id, :kind, :slug, :workflow, 1, :end_user, :connection, :config, :provider, :path, :sealed,
        :status, :reason, :scheduled_at, :next_at, :cursor, :disabled_at, :updated_at)
ON CONFLICT (workspace, coalesce(end_user, x''), slug, coalesce(connection, x''), coalesce(workflow, x'')) WHERE instance = 1
DO UPDATE
SET kind = excluded.kind, config = excluded.config, provider = excluded.provider,
    path = CASE WHEN excluded.path IS NULL THEN NULL ELSE coalesce(triggers.path, excluded.path) END,
    sealed = CASE WHEN excluded.slug = 'webhook' THEN excluded.sealed ELSE coalesce(excluded.sealed, triggers.sealed) END,
    scheduled_at = CASE WHEN triggers.status = 'active' THEN excluded.scheduled_at END,
    next_at = CASE WHEN triggers.status = 'active' THEN excluded.next_at END,
    updated_at = max(excluded.updated_at, triggers.updated_at + 1)
RETURNING id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
          scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at;

-- name: save_trigger
-- Write a trigger that nobody has changed meanwhile; what it counts stays.
UPDATE triggers SET config = :config, provider = :provider, path = :path, sealed = :sealed, connection = :connection,
  status = :status, reason = :reason, scheduled_at = :scheduled_at, next_at = :next_at, cursor = :cursor,
  refused_in_row = :refused_in_row, disabled_at = :disabled_at, updated_at = :updated_at
WHERE workspace = :workspace AND id = :id AND updated_at = :seen;

-- name: delete_trigger
-- Remove a trigger.
DELETE FROM triggers WHERE workspace = :workspace AND id = :id;

-- name: delete_of_workflow
-- Remove the triggers of a workflow: its own, or all.
DELETE FROM triggers WHERE workspace = :workspace AND workflow = :workflow AND (instance = 0 OR :all = 1);

-- name: unlink_target
-- Forget who names an instance.
DELETE FROM trigger_links WHERE workspace = :workspace AND target = :target;

-- name: unlink_workflow
-- Forget what a workflow names.
DELETE FROM trigger_links WHERE workspace = :workspace AND workflow = :workflow;

-- name: link
-- Note that a workflow names an instance.
INSERT INTO trigger_links (workspace, target, workflow) VALUES (:workspace, :target, :workflow) ON CONFLICT DO NOTHING;

-- name: linked
-- The workflows that name one of some targets.
SELECT DISTINCT workflow FROM trigger_links
WHERE workspace = :workspace AND target IN (SELECT value FROM json_each(:targets)) ORDER BY workflow;

-- name: disarm_workflow
-- Nothing of a workflow that takes no runs is due.
UPDATE triggers SET scheduled_at = NULL, next_at = NULL WHERE workspace = :workspace AND workflow = :workflow;

-- name: get_trigger
-- One trigger.
SELECT id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
       scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at
FROM triggers WHERE workspace = :workspace AND id = :id;

-- name: find_trigger
-- One trigger of any workspace.
SELECT id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
       scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at, workspace
FROM triggers WHERE id = :id;

-- name: triggers_of_workflow
-- The triggers of a workflow.
SELECT id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
       scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at
FROM triggers WHERE workspace = :workspace AND workflow = :workflow ORDER BY id;

-- name: triggers_of_connection
-- The triggers that use a connection.
SELECT id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
       scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at
FROM triggers WHERE workspace = :workspace AND connection = :connection ORDER BY id;

-- name: hooks_of_provider
-- The webhook triggers of a provider.
SELECT id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
       scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at
FROM triggers INDEXED BY triggers_by_provider
WHERE workspace = :workspace AND provider = :provider ORDER BY id;

-- name: hooks_of_path
-- The webhook triggers of a path.
SELECT id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
       scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at
FROM triggers INDEXED BY triggers_by_path
WHERE workspace = :workspace AND path = :path ORDER BY id;

-- name: list_triggers
-- A page of triggers, newest first. Lists are JSON texts; NULL lets everything pass.
SELECT id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
       scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at
FROM triggers
WHERE workspace = :workspace AND id < :before
  AND (:instances IS NULL OR instance = :instances)
  AND (:end_user IS NULL OR end_user = :end_user)
  AND (:ids IS NULL OR hex(id) IN (SELECT value FROM json_each(:ids)))
  AND (:slugs IS NULL OR slug IN (SELECT value FROM json_each(:slugs)))
  AND (:workflows IS NULL OR hex(workflow) IN (SELECT value FROM json_each(:workflows)))
  AND (:connections IS NULL OR hex(connection) IN (SELECT value FROM json_each(:connections)))
  AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
  AND (:auth_configs IS NULL OR EXISTS (
        SELECT 1 FROM connections AS c WHERE c.workspace = triggers.workspace AND c.id = triggers.connection
        AND hex(c.auth_config) IN (SELECT value FROM json_each(:auth_configs))))
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: count_triggers
-- How many triggers pass a filter.
SELECT count(*) FROM triggers
WHERE workspace = :workspace
  AND (:instances IS NULL OR instance = :instances)
  AND (:end_user IS NULL OR end_user = :end_user)
  AND (:ids IS NULL OR hex(id) IN (SELECT value FROM json_each(:ids)))
  AND (:slugs IS NULL OR slug IN (SELECT value FROM json_each(:slugs)))
  AND (:workflows IS NULL OR hex(workflow) IN (SELECT value FROM json_each(:workflows)))
  AND (:connections IS NULL OR hex(connection) IN (SELECT value FROM json_each(:connections)))
  AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
  AND (:auth_configs IS NULL OR EXISTS (
        SELECT 1 FROM connections AS c WHERE c.workspace = triggers.workspace AND c.id = triggers.connection
        AND hex(c.auth_config) IN (SELECT value FROM json_each(:auth_configs))));

-- name: due_triggers
-- The triggers whose time has come.
SELECT id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
       scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at, workspace
FROM triggers INDEXED BY triggers_by_due
WHERE next_at IS NOT NULL AND next_at <= :now AND status = 'active' ORDER BY next_at LIMIT :limit;

-- name: next_due
-- When the next trigger is due.
SELECT min(next_at) FROM triggers INDEXED BY triggers_by_due WHERE next_at IS NOT NULL AND status = 'active';

-- name: unarmed_triggers
-- Active schedules and polls of active workflows for which nothing is due.
SELECT id, kind, slug, workflow, instance, end_user, connection, config, provider, path, sealed, status, reason,
       scheduled_at, next_at, cursor, fired, refused, refused_in_row, last_fired_at, disabled_at, updated_at, workspace
FROM triggers
WHERE next_at IS NULL AND status = 'active' AND kind IN ('schedule', 'poll')
  AND (workflow IS NULL OR EXISTS (
        SELECT 1 FROM workflows AS w WHERE w.workspace = triggers.workspace AND w.id = triggers.workflow
        AND w.status = 'active'))
  AND id > :after
ORDER BY id LIMIT :limit;

-- name: arm_trigger
-- Set what is due next of an active trigger, unless its workflow takes no runs any more.
UPDATE triggers SET scheduled_at = :scheduled_at, next_at = :next_at
WHERE workspace = :workspace AND id = :id AND status = 'active'
  AND NOT EXISTS (
        SELECT 1 FROM workflows AS w WHERE w.workspace = triggers.workspace AND w.id = triggers.workflow
        AND w.status <> 'active');

-- name: advance_trigger
-- Note what has become of a trigger that was due.
UPDATE triggers SET scheduled_at = :scheduled_at, next_at = :next_at, cursor = :cursor, status = :status, reason = :reason,
  disabled_at = :disabled_at
WHERE workspace = :workspace AND id = :id AND next_at IS :seen AND status = 'active';
