-- name: of_connections
-- Connections sealed by another key than the current one, whose values begin with :head.
SELECT workspace, id, sealed FROM connections WHERE substr(sealed, 1, 9) <> :head
ORDER BY workspace, id LIMIT :limit OFFSET :offset;

-- name: put_connections
-- Write a value that was wrapped anew, if it is still the one that was read.
UPDATE connections SET sealed = :new WHERE workspace = :workspace AND id = :a AND sealed = :old;

-- name: of_secrets
-- The same of workflows' secrets.
SELECT workspace, workflow, name, sealed FROM secrets WHERE substr(sealed, 1, 9) <> :head
ORDER BY workspace, workflow, name LIMIT :limit OFFSET :offset;

-- name: put_secrets
-- The same of workflows' secrets.
UPDATE secrets SET sealed = :new WHERE workspace = :workspace AND workflow = :a AND name = :b AND sealed = :old;

-- name: of_outbox
-- The same of errands.
SELECT workspace, operation, sealed FROM outbox WHERE substr(sealed, 1, 9) <> :head
ORDER BY workspace, operation LIMIT :limit OFFSET :offset;

-- name: put_outbox
-- The same of errands.
UPDATE outbox SET sealed = :new WHERE workspace = :workspace AND operation = :a AND sealed = :old;

-- name: of_auth_configs
-- The same of auth configs.
SELECT workspace, id, sealed FROM auth_configs WHERE substr(sealed, 1, 9) <> :head
ORDER BY workspace, id LIMIT :limit OFFSET :offset;

-- name: put_auth_configs
-- The same of auth configs.
UPDATE auth_configs SET sealed = :new WHERE workspace = :workspace AND id = :a AND sealed = :old;

-- name: of_oauth_grants
-- The same of authorizations.
SELECT workspace, hash, sealed FROM oauth_grants WHERE substr(sealed, 1, 9) <> :head
ORDER BY hash LIMIT :limit OFFSET :offset;

-- name: put_oauth_grants
-- The same of authorizations.
UPDATE oauth_grants SET sealed = :new WHERE workspace = :workspace AND hash = :a AND sealed = :old;

-- name: of_triggers
-- The same of triggers.
SELECT workspace, id, sealed FROM triggers WHERE substr(sealed, 1, 9) <> :head
ORDER BY workspace, id LIMIT :limit OFFSET :offset;

-- name: put_triggers
-- The same of triggers.
UPDATE triggers SET sealed = :new WHERE workspace = :workspace AND id = :a AND sealed = :old;

-- name: of_endpoints
-- The same of endpoints.
SELECT workspace, id, sealed FROM endpoints WHERE substr(sealed, 1, 9) <> :head
ORDER BY workspace, id LIMIT :limit OFFSET :offset;

-- name: put_endpoints
-- The same of endpoints.
UPDATE endpoints SET sealed = :new WHERE workspace = :workspace AND id = :a AND sealed = :old;

-- name: of_endpoints_old
-- The same of endpoints' former secrets.
SELECT workspace, id, sealed_old FROM endpoints WHERE substr(sealed_old, 1, 9) <> :head
ORDER BY workspace, id LIMIT :limit OFFSET :offset;

-- name: put_endpoints_old
-- The same of endpoints' former secrets.
UPDATE endpoints SET sealed_old = :new WHERE workspace = :workspace AND id = :a AND sealed_old = :old;

-- name: of_variables
-- The same of variables.
SELECT workspace, id, sealed FROM variables WHERE substr(sealed, 1, 9) <> :head
ORDER BY workspace, id LIMIT :limit OFFSET :offset;

-- name: put_variables
-- The same of variables.
UPDATE variables SET sealed = :new WHERE workspace = :workspace AND id = :a AND sealed = :old;

-- name: of_repeats
-- The same of answers that are kept for repeats.
SELECT workspace, place, key, body FROM repeats WHERE substr(body, 1, 9) <> :head
ORDER BY workspace, place, key LIMIT :limit OFFSET :offset;

-- name: put_repeats
-- The same of answers that are kept for repeats.
UPDATE repeats SET body = :new WHERE workspace = :workspace AND place = :a AND key = :b AND body = :old;

-- name: put_probe
-- The same of the vault's probe.
UPDATE vault SET probe = :new WHERE id = 1 AND probe = :old;

-- name: count_seals
-- How many values of each kind are sealed by another key than the current one.
SELECT 'connections', count(*) FROM connections WHERE substr(sealed, 1, 9) <> :head
UNION ALL SELECT 'secrets', count(*) FROM secrets WHERE substr(sealed, 1, 9) <> :head
UNION ALL SELECT 'outbox', count(*) FROM outbox WHERE substr(sealed, 1, 9) <> :head
UNION ALL SELECT 'auth_configs', count(*) FROM auth_configs WHERE substr(sealed, 1, 9) <> :head
UNION ALL SELECT 'oauth_grants', count(*) FROM oauth_grants WHERE substr(sealed, 1, 9) <> :head
UNION ALL SELECT 'triggers', count(*) FROM triggers WHERE substr(sealed, 1, 9) <> :head
UNION ALL SELECT 'endpoints', count(*) FROM endpoints WHERE substr(sealed, 1, 9) <> :head
UNION ALL SELECT 'endpoints_old', count(*) FROM endpoints WHERE substr(sealed_old, 1, 9) <> :head
UNION ALL SELECT 'variables', count(*) FROM variables WHERE substr(sealed, 1, 9) <> :head
UNION ALL SELECT 'repeats', count(*) FROM repeats WHERE substr(body, 1, 9) <> :head;
