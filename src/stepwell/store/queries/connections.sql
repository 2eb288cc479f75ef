-- name: insert_connection
-- Store a new connection.
INSERT INTO connections (workspace, id, slug, name, provider, status, mode, is_default, base_url, external_account_id,
                         updated_at, sealed)
VALUES (:workspace, :id, :slug, :name, :provider, :status, :mode, :is_default, :base_url, :external_account_id,
        :updated_at, :sealed);

-- name: clear_default
-- End the standing of a provider's default connection, for another takes it.
UPDATE connections SET is_default = 0
WHERE workspace = :workspace AND provider = :provider AND is_default = 1 AND id <> :id;

-- name: save_connection
-- Write an edit, if nothing has changed since it was read.
UPDATE connections SET slug = :slug, name = :name, status = :status, mode = :mode, is_default = :is_default,
                       base_url = :base_url, external_account_id = :external_account_id, updated_at = :updated_at,
                       sealed = :sealed
WHERE workspace = :workspace AND id = :id AND updated_at = :seen;

-- name: get_connection
-- One connection by id.
SELECT id, slug, name, provider, status, mode, is_default, base_url, external_account_id, updated_at, sealed
FROM connections WHERE workspace = :workspace AND id = :id;

-- name: get_connection_by_slug
-- One connection by slug.
SELECT id, slug, name, provider, status, mode, is_default, base_url, external_account_id, updated_at, sealed
FROM connections WHERE workspace = :workspace AND slug = :slug;

-- name: list_connections
-- A page of connections without their credentials.
SELECT id, slug, name, provider, status, mode, is_default, base_url, external_account_id, updated_at, NULL
FROM connections
WHERE workspace = :workspace AND id < :before AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status)
ORDER BY id DESC LIMIT :limit;

-- name: active_connections
-- The active connections of a provider without their credentials.
SELECT id, slug, name, provider, status, mode, is_default, base_url, external_account_id, updated_at, NULL
FROM connections WHERE workspace = :workspace AND provider = :provider AND status = 'active' ORDER BY id;

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
