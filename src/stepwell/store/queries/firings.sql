-- name: delivery_of_event
-- The delivery that an event of a route belongs to.
SELECT delivery FROM delivery_keys WHERE workspace = :workspace AND route = :route AND key = :key;

-- name: insert_firing
-- Keep a firing, unless there is one of its key.
INSERT INTO firings (workspace, id, trigger, slug, workflow, key, source, status, reason, run, scheduled_at, delivery, payload,
                     end_user, duration_ms, replay_of)
VALUES (:workspace, :id, :trigger, :slug, :workflow, :key, :source, :status, :reason, :run, :scheduled_at, :delivery, :payload,
        :end_user, :duration_ms, :replay_of)
ON CONFLICT DO NOTHING;

-- name: run_of_firing
-- What a firing's key started.
SELECT run FROM firings
WHERE workspace = :workspace AND trigger = :trigger AND coalesce(workflow, x'') = coalesce(:workflow, x'') AND key = :key;

-- name: count_started
-- Count a firing that started a run.
UPDATE triggers SET fired = fired + 1, refused_in_row = 0, last_fired_at = :at WHERE workspace = :workspace AND id = :trigger;

-- name: count_refused
-- Count a firing whose start was refused; too many in a row switch the trigger off.
UPDATE triggers SET refused = refused + 1, refused_in_row = refused_in_row + 1, last_fired_at = :at,
  status = CASE WHEN status = 'active' AND refused_in_row + 1 >= :most THEN 'error' ELSE status END,
  reason = CASE WHEN status = 'active' AND refused_in_row + 1 >= :most THEN 'too_many_failures' ELSE reason END,
  next_at = CASE WHEN status = 'active' AND refused_in_row + 1 >= :most THEN NULL ELSE next_at END,
  disabled_at = CASE WHEN status = 'active' AND refused_in_row + 1 >= :most THEN :at ELSE disabled_at END
WHERE workspace = :workspace AND id = :trigger;

-- name: get_firing
-- One firing.
SELECT id, trigger, slug, workflow, key, source, status, reason, run, scheduled_at, delivery, payload, end_user, duration_ms,
       replay_of
FROM firings WHERE workspace = :workspace AND id = :id;

-- name: firing_of_key
-- The firing of a key.
SELECT id, trigger, slug, workflow, key, source, status, reason, run, scheduled_at, delivery, payload, end_user, duration_ms,
       replay_of
FROM firings
WHERE workspace = :workspace AND trigger = :trigger AND coalesce(workflow, x'') = :workflow AND key = :key;

-- name: list_firings
-- A page of firings, newest first. Lists are JSON texts; NULL lets everything pass.
SELECT id, trigger, slug, workflow, key, source, status, reason, run, scheduled_at, delivery, payload, end_user, duration_ms,
       replay_of
FROM firings
WHERE workspace = :workspace AND id < :before
  AND (:workflow IS NULL OR workflow = :workflow)
  AND (:delivery IS NULL OR delivery = :delivery)
  AND (:end_user IS NULL OR end_user = :end_user)
  AND (:triggers IS NULL OR hex(trigger) IN (SELECT value FROM json_each(:triggers)))
  AND (:sources IS NULL OR source IN (SELECT value FROM json_each(:sources)))
  AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
  AND (:slugs IS NULL OR slug IN (SELECT value FROM json_each(:slugs)))
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: list_firings_of_trigger
-- The newest firings of a trigger, by its index.
SELECT id, trigger, slug, workflow, key, source, status, reason, run, scheduled_at, delivery, payload, end_user, duration_ms,
       replay_of
FROM firings INDEXED BY firings_by_trigger
WHERE workspace = :workspace AND trigger = :trigger AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: count_firings
-- How many firings pass a filter.
SELECT count(*) FROM firings
WHERE workspace = :workspace
  AND (:workflow IS NULL OR workflow = :workflow)
  AND (:delivery IS NULL OR delivery = :delivery)
  AND (:end_user IS NULL OR end_user = :end_user)
  AND (:triggers IS NULL OR hex(trigger) IN (SELECT value FROM json_each(:triggers)))
  AND (:sources IS NULL OR source IN (SELECT value FROM json_each(:sources)))
  AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
  AND (:slugs IS NULL OR slug IN (SELECT value FROM json_each(:slugs)));

-- name: open_runs_of_trigger
-- The runs of a trigger that are not final, oldest first.
SELECT id FROM runs INDEXED BY runs_fired
WHERE workspace = :workspace AND fired_by = :trigger AND ended_at IS NULL ORDER BY id LIMIT :limit;

-- name: last_ends_of_trigger
-- The states of the newest final runs of a trigger.
SELECT state FROM runs INDEXED BY runs_fired
WHERE workspace = :workspace AND fired_by = :trigger AND id > :after AND ended_at IS NOT NULL
ORDER BY id DESC LIMIT :limit;

-- name: prune_firings
-- Remove old firings.
DELETE FROM firings WHERE (workspace, id) IN (SELECT workspace, id FROM firings WHERE id < :before LIMIT :limit);
