-- name: list_invocations
-- A page of firings, and of deliveries without any; JSON lists, NULL lets all pass; the default user's id is the workspace's.
SELECT id, trigger, slug, source, status, reason, workflow, run, delivery, key, payload, end_user, duration_ms, replay_of
FROM firings
WHERE workspace = :workspace AND id < :before
  AND (:end_user IS NULL OR coalesce(end_user, workspace) = :end_user)
  AND (:triggers IS NULL OR hex(trigger) IN (SELECT value FROM json_each(:triggers)))
  AND (:sources IS NULL OR source IN (SELECT value FROM json_each(:sources)))
  AND (:provided IS NULL OR (slug <> 'webhook') = :provided)
  AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
  AND (:slugs IS NULL OR slug IN (SELECT value FROM json_each(:slugs)))
UNION ALL
SELECT d.id, d.trigger, coalesce(t.slug, 'webhook'), 'webhook', CASE d.status WHEN 'rejected' THEN 'failed' ELSE 'skipped' END,
       d.reason, t.workflow, NULL, d.id, NULL, NULL, t.end_user, 0, NULL
FROM deliveries AS d LEFT JOIN triggers AS t ON t.workspace = d.workspace AND t.id = d.trigger
WHERE d.workspace = :workspace AND d.id < :before AND d.status IN ('rejected', 'ignored') AND d.trigger IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM firings AS f WHERE f.workspace = d.workspace AND f.delivery = d.id)
  AND (:end_user IS NULL OR coalesce(t.end_user, d.workspace) = :end_user)
  AND (:triggers IS NULL OR hex(d.trigger) IN (SELECT value FROM json_each(:triggers)))
  AND (:sources IS NULL OR 'webhook' IN (SELECT value FROM json_each(:sources)))
  AND (:provided IS NULL OR (coalesce(t.slug, 'webhook') <> 'webhook') = :provided)
  AND (:statuses IS NULL OR CASE d.status WHEN 'rejected' THEN 'failed' ELSE 'skipped' END
       IN (SELECT value FROM json_each(:statuses)))
  AND (:slugs IS NULL OR coalesce(t.slug, 'webhook') IN (SELECT value FROM json_each(:slugs)))
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: count_invocations
-- How many of both pass the filter.
SELECT
  (SELECT count(*) FROM firings
   WHERE workspace = :workspace
     AND (:end_user IS NULL OR coalesce(end_user, workspace) = :end_user)
     AND (:triggers IS NULL OR hex(trigger) IN (SELECT value FROM json_each(:triggers)))
     AND (:sources IS NULL OR source IN (SELECT value FROM json_each(:sources)))
     AND (:provided IS NULL OR (slug <> 'webhook') = :provided)
     AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
     AND (:slugs IS NULL OR slug IN (SELECT value FROM json_each(:slugs))))
  +
  (SELECT count(*) FROM deliveries AS d LEFT JOIN triggers AS t ON t.workspace = d.workspace AND t.id = d.trigger
   WHERE d.workspace = :workspace AND d.status IN ('rejected', 'ignored') AND d.trigger IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM firings AS f WHERE f.workspace = d.workspace AND f.delivery = d.id)
     AND (:end_user IS NULL OR coalesce(t.end_user, d.workspace) = :end_user)
     AND (:triggers IS NULL OR hex(d.trigger) IN (SELECT value FROM json_each(:triggers)))
     AND (:sources IS NULL OR 'webhook' IN (SELECT value FROM json_each(:sources)))
     AND (:provided IS NULL OR (coalesce(t.slug, 'webhook') <> 'webhook') = :provided)
     AND (:statuses IS NULL OR CASE d.status WHEN 'rejected' THEN 'failed' ELSE 'skipped' END
          IN (SELECT value FROM json_each(:statuses)))
     AND (:slugs IS NULL OR coalesce(t.slug, 'webhook') IN (SELECT value FROM json_each(:slugs))));
