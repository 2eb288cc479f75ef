-- Lists that are counted and paged by number.

-- name: browse_workflows
-- A page of workflows in an order.
SELECT id, slug, name, description, trigger, status, version, activated, updated_at
FROM workflows
WHERE workspace = :workspace AND status IN (SELECT value FROM json_each(:statuses))
  AND (:search IS NULL OR instr(folded, :search) > 0) AND (:before IS NULL OR id < :before)
ORDER BY CASE WHEN :by = 'name' AND :ascending THEN folded END,
         CASE WHEN :by = 'name' AND NOT :ascending THEN folded END DESC,
         CASE WHEN :by = 'updated' AND :ascending THEN updated_at END,
         CASE WHEN :by = 'updated' AND NOT :ascending THEN updated_at END DESC,
         CASE WHEN :ascending THEN id END,
         id DESC
LIMIT :limit OFFSET :offset;

-- name: count_workflows
-- How many workflows such a list has.
SELECT count(*) FROM workflows
WHERE workspace = :workspace AND status IN (SELECT value FROM json_each(:statuses))
  AND (:search IS NULL OR instr(folded, :search) > 0);

-- name: chain_runs
-- The runs of a chain: the first one and those that name it.
SELECT id FROM runs
WHERE workspace = :workspace AND id = :chain
  AND (:workflows IS NULL OR hex(workflow) IN (SELECT value FROM json_each(:workflows)))
  AND (:end_user IS NULL OR end_user = :end_user OR (:unowned AND end_user IS NULL))
  AND state IN (SELECT value FROM json_each(:states))
UNION ALL
SELECT id FROM runs INDEXED BY runs_by_chain
WHERE workspace = :workspace AND chain = :chain
  AND (:workflows IS NULL OR hex(workflow) IN (SELECT value FROM json_each(:workflows)))
  AND (:end_user IS NULL OR end_user = :end_user OR (:unowned AND end_user IS NULL))
  AND state IN (SELECT value FROM json_each(:states));

-- name: user_runs
-- A page of the runs of an end user, newest first.
SELECT id FROM runs INDEXED BY runs_by_user
WHERE workspace = :workspace AND end_user = :end_user AND id < :before
  AND (:workflows IS NULL OR hex(workflow) IN (SELECT value FROM json_each(:workflows)))
  AND state IN (SELECT value FROM json_each(:states))
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: count_user_runs
-- How many runs of an end user pass the filter.
SELECT count(*) FROM runs INDEXED BY runs_by_user
WHERE workspace = :workspace AND end_user = :end_user
  AND (:workflows IS NULL OR hex(workflow) IN (SELECT value FROM json_each(:workflows)))
  AND state IN (SELECT value FROM json_each(:states));

-- name: ordered_runs
-- A page of runs in any order: may look at all runs of the workspace, so it is read apart.
SELECT id FROM runs
WHERE workspace = :workspace AND id < :before
  AND (:workflows IS NULL OR hex(workflow) IN (SELECT value FROM json_each(:workflows)))
  AND (:end_user IS NULL OR end_user = :end_user OR (:unowned AND end_user IS NULL))
  AND state IN (SELECT value FROM json_each(:states))
ORDER BY CASE :by WHEN 'started' THEN started_at IS NULL WHEN 'updated' THEN started_at IS NULL AND ended_at IS NULL END,
         CASE WHEN :ascending THEN CASE :by WHEN 'started' THEN started_at WHEN 'updated' THEN coalesce(ended_at, started_at) END END,
         CASE WHEN NOT :ascending THEN CASE :by WHEN 'started' THEN started_at WHEN 'updated' THEN coalesce(ended_at, started_at) END END DESC,
         CASE WHEN :ascending THEN id END,
         id DESC
LIMIT :limit OFFSET :offset;

-- name: count_any_runs
-- How many runs pass any filter: looks at all runs of the workspace, so it is read apart.
SELECT count(*) FROM runs
WHERE workspace = :workspace
  AND (:workflows IS NULL OR hex(workflow) IN (SELECT value FROM json_each(:workflows)))
  AND (:end_user IS NULL OR end_user = :end_user OR (:unowned AND end_user IS NULL))
  AND state IN (SELECT value FROM json_each(:states));

-- name: count_all_runs
-- How many runs a workspace has.
SELECT count(*) FROM runs WHERE workspace = :workspace;

-- name: count_runs
-- How many runs of a workspace are in one of the states.
SELECT (SELECT count(*) FROM runs INDEXED BY runs_ended
        WHERE workspace = :workspace AND ended_at IS NOT NULL AND state IN (SELECT value FROM json_each(:states)))
     + (SELECT count(*) FROM runs INDEXED BY runs_open
        WHERE workspace = :workspace AND ended_at IS NULL AND state IN (SELECT value FROM json_each(:states)));

-- name: count_runs_of_workflow
-- How many runs of a workflow are in one of the states.
SELECT (SELECT count(*) FROM runs INDEXED BY runs_ended_by_workflow
        WHERE workspace = :workspace AND workflow = :workflow AND ended_at IS NOT NULL
          AND state IN (SELECT value FROM json_each(:states)))
     + (SELECT count(*) FROM runs INDEXED BY runs_open_by_workflow
        WHERE workspace = :workspace AND workflow = :workflow AND ended_at IS NULL
          AND state IN (SELECT value FROM json_each(:states)));

-- name: count_by_state
-- How many runs of a workflow are in each state, and the newest of them.
SELECT state, count(*), max(id) FROM runs INDEXED BY runs_ended_by_workflow
WHERE workspace = :workspace AND workflow = :workflow AND ended_at IS NOT NULL GROUP BY state
UNION ALL
SELECT 'open', count(*), max(id) FROM runs INDEXED BY runs_open_by_workflow
WHERE workspace = :workspace AND workflow = :workflow AND ended_at IS NULL HAVING count(*) > 0;

-- name: recent_runs
-- How many runs were created since an id, and how many of them failed.
SELECT count(*), coalesce(sum(state IN ('failed', 'timed_out')), 0) FROM runs
WHERE workspace = :workspace AND id >= :since;

-- name: recent_cost
-- What the runs that were created since an id have cost.
SELECT coalesce(sum(cost), 0) FROM runs WHERE workspace = :workspace AND id >= :since;

-- name: newest_run
-- The newest run of a workspace.
SELECT id FROM runs WHERE workspace = :workspace ORDER BY id DESC LIMIT 1;
