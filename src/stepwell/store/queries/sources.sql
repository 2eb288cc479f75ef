-- What workflows were written as, and what belongs to it.

-- name: get_source
-- One workflow as it was written.
SELECT workspace, workflow, kind, trigger_code, env_vars, deploy_config, current_version, deployed_version, updated_at
FROM source_workflows WHERE workspace = :workspace AND workflow = :workflow;

-- name: get_deployed_version
-- Which version is deployed.
SELECT deployed_version FROM source_workflows WHERE workspace = :workspace AND workflow = :workflow;

-- name: put_source
-- Write a workflow as it was written; which versions of one that is there are current and deployed stays.
INSERT INTO source_workflows (workspace, workflow, kind, trigger_code, env_vars, deploy_config, current_version,
                              deployed_version, updated_at)
VALUES (:workspace, :workflow, :kind, :trigger_code, :env_vars, :deploy_config, :current_version, :deployed_version,
        :updated_at)
ON CONFLICT (workspace, workflow) DO UPDATE SET
  trigger_code = excluded.trigger_code, env_vars = excluded.env_vars, deploy_config = excluded.deploy_config,
  updated_at = excluded.updated_at;

-- name: set_current_version
-- Make a version the current one.
UPDATE source_workflows SET current_version = :version, updated_at = :at
WHERE workspace = :workspace AND workflow = :workflow;

-- name: set_deployed_version
-- Note which version is deployed.
UPDATE source_workflows SET deployed_version = :version, updated_at = :at
WHERE workspace = :workspace AND workflow = :workflow;

-- name: delete_source
-- Forget it.
DELETE FROM source_workflows WHERE workspace = :workspace AND workflow = :workflow;

-- name: delete_source_versions
-- Forget its versions.
DELETE FROM source_versions WHERE workspace = :workspace AND workflow = :workflow;

-- name: delete_source_deployments
-- Forget its deployments.
DELETE FROM deployments WHERE workspace = :workspace AND workflow = :workflow;

-- name: delete_source_routes
-- Give its address up.
DELETE FROM routes WHERE workspace = :workspace AND workflow = :workflow;

-- name: list_source_versions
-- A page of versions.
SELECT workspace, workflow, id, number, body, locked, created_by, updated_at FROM source_versions
WHERE workspace = :workspace AND workflow = :workflow AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: get_source_version
-- One version.
SELECT workspace, workflow, id, number, body, locked, created_by, updated_at FROM source_versions
WHERE workspace = :workspace AND workflow = :workflow AND id = :id;

-- name: put_source_version
-- Write a version.
INSERT INTO source_versions (workspace, workflow, id, number, body, locked, created_by, updated_at)
VALUES (:workspace, :workflow, :id, :number, :body, :locked, :created_by, :updated_at)
ON CONFLICT (workspace, workflow, id) DO UPDATE SET
  body = excluded.body, locked = excluded.locked, updated_at = excluded.updated_at;

-- name: delete_source_version
-- Forget a version.
DELETE FROM source_versions WHERE workspace = :workspace AND workflow = :workflow AND id = :id;

-- name: put_deployment
-- Write a deployment.
INSERT INTO deployments (workspace, id, workflow, version, connection, service_name, service_url, status, error)
VALUES (:workspace, :id, :workflow, :version, :connection, :service_name, :service_url, :status, :error)
ON CONFLICT (workspace, id) DO UPDATE SET
  service_url = excluded.service_url, status = excluded.status, error = excluded.error;

-- name: list_deployments
-- A page of a workspace's deployments.
SELECT workspace, id, workflow, version, connection, service_name, service_url, status, error FROM deployments
WHERE workspace = :workspace AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: list_deployments_of_workflow
-- A page of a workflow's deployments.
SELECT workspace, id, workflow, version, connection, service_name, service_url, status, error
FROM deployments INDEXED BY deployments_by_workflow
WHERE workspace = :workspace AND workflow = :workflow AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: list_variables
-- The variables of a workspace by name.
SELECT workspace, id, name, secret, value, sealed, updated_at FROM variables
WHERE workspace = :workspace ORDER BY name;

-- name: put_variable
-- Write a variable.
INSERT INTO variables (workspace, id, name, secret, value, sealed, updated_at)
VALUES (:workspace, :id, :name, :secret, :value, :sealed, :updated_at)
ON CONFLICT (workspace, id) DO UPDATE SET
  name = excluded.name, secret = excluded.secret, value = excluded.value, sealed = excluded.sealed,
  updated_at = excluded.updated_at;

-- name: delete_variable
-- Forget a variable.
DELETE FROM variables WHERE workspace = :workspace AND id = :id;

-- name: get_route
-- The workflow of an address.
SELECT workspace, workflow FROM routes WHERE pattern = :pattern;

-- name: put_route
-- Give a workflow an address.
INSERT INTO routes (pattern, workspace, workflow) VALUES (:pattern, :workspace, :workflow);

-- name: get_repeat
-- The answer that a key stands for.
SELECT status, body FROM repeats WHERE workspace = :workspace AND place = :place AND key = :key AND at > :since;

-- name: put_repeat
-- Keep the answer that a key stands for.
INSERT INTO repeats (workspace, place, key, at, status, body) VALUES (:workspace, :place, :key, :at, :status, :body)
ON CONFLICT (workspace, place, key) DO UPDATE SET at = excluded.at, status = excluded.status, body = excluded.body;

-- name: forget_repeats
-- Forget answers that are old.
DELETE FROM repeats WHERE (workspace, place, key) IN (
  SELECT workspace, place, key FROM repeats INDEXED BY repeats_by_age WHERE at <= :before LIMIT :limit);
