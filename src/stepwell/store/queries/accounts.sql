-- name: insert_user
-- Store a user, unless there is one of that name.
INSERT INTO end_users (workspace, id, username, active) VALUES (:workspace, :id, :username, :active)
ON CONFLICT DO NOTHING;

-- name: get_user
-- One user by id.
SELECT id, username, active FROM end_users WHERE workspace = :workspace AND id = :id;

-- name: get_user_named
-- One user by name.
SELECT id, username, active FROM end_users WHERE workspace = :workspace AND username = :username;

-- name: list_users
-- A page of users, newest first; `search` is a part of the name in lower case.
SELECT id, username, active FROM end_users
WHERE workspace = :workspace AND (:search IS NULL OR instr(lower(username), :search) > 0)
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: count_users
-- How many users have a part in their name.
SELECT count(*) FROM end_users
WHERE workspace = :workspace AND (:search IS NULL OR instr(lower(username), :search) > 0);

-- name: set_user_active
-- Switch a user on or off.
UPDATE end_users SET active = :active WHERE workspace = :workspace AND id = :id;

-- name: put_config
-- Store an auth config, or write over the one of its id; the provider stays.
INSERT INTO auth_configs (workspace, id, provider, name, scheme, sealed, updated_at)
VALUES (:workspace, :id, :provider, :name, :scheme, :sealed, :updated_at)
ON CONFLICT (workspace, id) DO UPDATE SET name = excluded.name, scheme = excluded.scheme, sealed = excluded.sealed,
                                          updated_at = excluded.updated_at;

-- name: get_config
-- One auth config.
SELECT id, provider, name, scheme, updated_at, sealed FROM auth_configs WHERE workspace = :workspace AND id = :id;

-- name: list_configs
-- A page of auth configs without their credentials, newest first.
SELECT id, provider, name, scheme, updated_at, NULL FROM auth_configs
WHERE workspace = :workspace AND id < :before AND (:provider IS NULL OR provider = :provider)
ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: count_configs
-- How many auth configs there are of a provider, or in all.
SELECT count(*) FROM auth_configs WHERE workspace = :workspace AND (:provider IS NULL OR provider = :provider);

-- name: delete_config
-- Remove an auth config.
DELETE FROM auth_configs WHERE workspace = :workspace AND id = :id;

-- name: put_link
-- Keep a link.
INSERT INTO account_links (hash, workspace, connection, callback_url, expires_at)
VALUES (:hash, :workspace, :connection, :callback_url, :expires_at);

-- name: get_link
-- The link of a token, if its time is not over.
SELECT hash, workspace, connection, callback_url, expires_at FROM account_links WHERE hash = :hash AND expires_at > :now;

-- name: delete_link
-- Use up a link.
DELETE FROM account_links WHERE hash = :hash;

-- name: put_grant
-- Keep an authorization that is asked for.
INSERT INTO oauth_grants (hash, workspace, connection, sealed, expires_at)
VALUES (:hash, :workspace, :connection, :sealed, :expires_at);

-- name: get_grant
-- The authorization of a state, if its time is not over.
SELECT hash, workspace, connection, sealed, expires_at FROM oauth_grants WHERE hash = :hash AND expires_at > :now;

-- name: delete_grant
-- Use up an authorization.
DELETE FROM oauth_grants WHERE hash = :hash;

-- name: forget_links
-- Remove links whose time is over.
DELETE FROM account_links
WHERE hash IN (SELECT hash FROM account_links WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit);

-- name: forget_grants
-- Remove authorizations whose time is over.
DELETE FROM oauth_grants
WHERE hash IN (SELECT hash FROM oauth_grants WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit);
