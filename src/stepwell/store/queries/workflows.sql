-- name: insert_workflow
-- Store a new workflow.
INSERT INTO workflows (workspace, id, slug, name, folded, description, trigger, status, version, activated, updated_at, canvas)
VALUES (:workspace, :id, :slug, :name, :folded, :description, :trigger, :status, :version, :activated, :updated_at, :canvas);

-- name: insert_version
-- Store a version.
INSERT INTO versions (workspace, workflow, number, created_at, created_by, document)
VALUES (:workspace, :id, :version, :updated_at, :created_by, :document);

-- name: save_workflow
-- Write an edit, if nothing has changed since it was read; a version that may have had runs is not written over.
UPDATE workflows SET slug = :slug, name = :name, folded = :folded, description = :description, trigger = :trigger,
                     version = :version, updated_at = :updated_at, canvas = :canvas
WHERE workspace = :workspace AND id = :id AND updated_at = :seen
  AND (version + 1 = :version OR (version = :version AND (activated = 0 OR :document IS NULL)));

-- name: overwrite_version
-- Give the only version of a draft a new document.
UPDATE versions SET document = :document WHERE workspace = :workspace AND workflow = :id AND number = :version;

-- name: get_workflow
-- One workflow by id.
SELECT id, slug, name, description, trigger, status, version, activated, updated_at, canvas
FROM workflows WHERE workspace = :workspace AND id = :id;

-- name: get_workflow_by_slug
-- One workflow by slug.
SELECT id, slug, name, description, trigger, status, version, activated, updated_at, canvas
FROM workflows WHERE workspace = :workspace AND slug = :slug;

-- name: find_workflow
-- Where a workflow is, by its id.
SELECT workspace, id FROM workflows WHERE id = :id LIMIT 2;

-- name: find_workflow_by_slug
-- Where the workflows of a slug are.
SELECT workspace, id FROM workflows WHERE slug = :slug LIMIT 2;

-- name: list_workflows
-- A page of workflows; without a status those that are not archived.
SELECT id, slug, name, description, trigger, status, version, activated, updated_at
FROM workflows
WHERE workspace = :workspace AND id < :before
  AND (status = :status OR (:status IS NULL AND status <> 'archived'))
  AND (:search IS NULL OR instr(folded, :search) > 0)
ORDER BY id DESC LIMIT :limit;

-- name: set_status
-- Change a workflow's status; once active, a workflow's versions stay as they are.
UPDATE workflows SET status = :status, activated = CASE WHEN :status = 'active' THEN 1 ELSE activated END,
                     updated_at = CASE WHEN updated_at < :now THEN :now ELSE updated_at + 1 END
WHERE workspace = :workspace AND id = :id;

-- name: get_version
-- One version with its document.
SELECT number, created_at, created_by, document
FROM versions WHERE workspace = :workspace AND workflow = :id AND number = :number;

-- name: list_versions
-- A page of a workflow's versions.
SELECT number, created_at, created_by
FROM versions WHERE workspace = :workspace AND workflow = :id AND number < :before
ORDER BY number DESC LIMIT :limit;

-- name: list_secrets
-- The secrets of a workflow.
SELECT name, sealed, updated_at FROM secrets WHERE workspace = :workspace AND workflow = :id ORDER BY name;

-- name: insert_secret
-- Store a secret of a workflow that exists, if it has none of that name.
INSERT INTO secrets (workspace, workflow, name, sealed, updated_at)
SELECT workspace, id, :name, :sealed, :updated_at FROM workflows WHERE workspace = :workspace AND id = :id
ON CONFLICT (workspace, workflow, name) DO NOTHING;

-- name: replace_secret
-- Give a secret another value.
UPDATE secrets SET sealed = :sealed, updated_at = :updated_at
WHERE workspace = :workspace AND workflow = :id AND name = :name;

-- name: delete_secret
-- Remove a secret.
DELETE FROM secrets WHERE workspace = :workspace AND workflow = :id AND name = :name;
