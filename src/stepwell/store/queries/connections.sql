-- name: insert_connection
-- Store a new connection.
INSERT INTO connections (workspace, id, slug, name, provider, status, mode, is_default, base_url, external_account_id,
                         updated_at, sealed, end_user, auth_config, reason, expires_at, checked_at)
VALUES (:workspace, :id, :slug, :name, :provider, :status, :mode, :is_default, :base_url, :external_account_id,
        :updated_at, :sealed, :end_user, :auth_config, :reason, :expires_at, :checked_at);

-- name: clear_default
-- End the standing of a provider's default connection, for another of the same user takes it.
UPDATE connections SET is_default = 0
WHERE workspace = :workspace AND provider = :provider AND end_user IS :end_user AND is_default = 1
  AND id <> :id;

-- name: save_connection
-- Write an edit, if nothing has changed since it was read.
UPDATE connections SET slug = :slug, name = :name, status = :status, mode = :mode, is_default = :is_default,
                       base_url = :base_url, external_account_id = :external_account_id, updated_at = :updated_at,
                       sealed = :sealed, auth_config = :auth_config, reason = :reason, expires_at = :expires_at,
                       checked_at = :checked_at
WHERE workspace = :workspace AND id = :id AND updated_at = :seen;

-- name: get_connection
-- One connection by id.
SELECT id, slug, name, provider, status, mode, is_default, base_url, external_account_id, updated_at, sealed,
       end_user, auth_config, reason, expires_at, checked_at
FROM connections WHERE workspace = :workspace AND id = :id;

-- name: get_connection_by_slug
-- One connection by slug.
SELECT id, slug, name, provider, status, mode, is_default, base_url, external_account_id, updated_at, sealed,
       end_user, auth_config, reason, expires_at, checked_at
FROM connections WHERE workspace = :workspace AND slug = :slug;

-- name: list_connections
-- A page of connections without their credentials. Lists are JSON texts; NULL lets everything pass.
SELECT id, slug, name, provider, status, mode, is_default, base_url, external_account_id, updated_at, NULL,
       end_user, auth_config, reason, expires_at, checked_at
FROM connections
WHERE workspace = :workspace AND id < :before
  AND (:providers IS NULL OR provider IN (SELECT value FROM json_each(:providers)))
  AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
  AND (:end_users IS NULL OR hex(end_user) IN (SELECT value FROM json_each(:end_users)))
  AND (:auth_configs IS NULL OR hex(auth_config) IN (SELECT value FROM json_each(:auth_configs)))
  AND (:ids IS NULL OR hex(id) IN (SELECT value FROM json_each(:ids)))
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: count_connections
-- How many connections pass a filter.
SELECT count(*) FROM connections
WHERE workspace = :workspace
  AND (:providers IS NULL OR provider IN (SELECT value FROM json_each(:providers)))
  AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
  AND (:end_users IS NULL OR hex(end_user) IN (SELECT value FROM json_each(:end_users)))
  AND (:auth_configs IS NULL OR hex(auth_config) IN (SELECT value FROM json_each(:auth_configs)))
  AND (:ids IS NULL OR hex(id) IN (SELECT value FROM json_each(:ids)));

-- name: active_connections
-- The active connections of a provider that are a user's, or nobody's, without their credentials.
SELECT id, slug, name, provider, status, mode, is_default, base_url, external_account_id, updated_at, NULL,
       end_user, auth_config, reason, expires_at, checked_at
FROM connections WHERE workspace = :workspace AND provider = :provider AND status = 'active'
  AND end_user IS :end_user ORDER BY id;

-- name: delete_connection
-- Remove a connection.
DELETE FROM connections WHERE workspace = :workspace AND id = :id;

-- name: delete_simulations
-- Remove what a connection's simulator has counted.
DELETE FROM simulations WHERE workspace = :workspace AND connection = :id;

-- name: count_operation
-- Number an operation of a connection that exists, unless it has its number.
INSERT INTO simulations (workspace, connection, kind, operation, number)
SELECT workspace, id, :kind, :operation,
       (SELECT coalesce(max(number), 0) + 1 FROM simulations
        WHERE workspace = :workspace AND connection = :id AND kind = :kind)
FROM connections WHERE workspace = :workspace AND id = :id
ON CONFLICT (workspace, connection, kind, operation) DO NOTHING;

-- name: get_number
-- The number of an operation.
SELECT number FROM simulations
WHERE workspace = :workspace AND connection = :id AND kind = :kind AND operation = :operation;
