-- name: insert_workspace
-- Store a new workspace.
INSERT INTO workspaces (id, name, settings) VALUES (:id, :name, :settings);

-- name: get_workspace
-- One workspace.
SELECT id, name, settings, paused_at, updated_at FROM workspaces WHERE id = :id;

-- name: switch_workspace
-- Let a workspace start no runs from a time on, or let it start them again.
UPDATE workspaces SET paused_at = CASE WHEN :paused THEN coalesce(paused_at, :now) END, updated_at = :now
WHERE id = :id AND (paused_at IS NULL) = :paused;

-- name: paused_workspaces
-- The workspaces that start no runs.
SELECT id FROM workspaces WHERE paused_at IS NOT NULL;

-- name: list_workspaces
-- All workspaces, oldest first.
SELECT id, name, settings, paused_at, updated_at FROM workspaces ORDER BY id;

-- name: insert_key
-- Store a new key.
INSERT INTO keys (workspace, id, hash, prefix, name, scopes, dialect, expires_at, last_used_at, revoked_at)
VALUES (:workspace, :id, :hash, :prefix, :name, :scopes, :dialect, :expires_at, :last_used_at, :revoked_at);

-- name: find_key
-- The key with a hash, in whichever workspace: it is what tells the workspace.
SELECT workspace, id, hash, prefix, name, scopes, dialect, expires_at, last_used_at, revoked_at
FROM keys WHERE hash = :hash;

-- name: list_keys
-- A page of a workspace's keys.
SELECT workspace, id, hash, prefix, name, scopes, dialect, expires_at, last_used_at, revoked_at
FROM keys WHERE workspace = :workspace AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: revoke_key
-- End a key's life; one that is ended stays as it is.
UPDATE keys SET revoked_at = coalesce(revoked_at, :now) WHERE workspace = :workspace AND id = :id;

-- name: touch_key
-- Note that a key was used.
UPDATE keys SET last_used_at = :now WHERE workspace = :workspace AND id = :id;

-- name: keep_probe
-- Keep the vault's probe, if there is none yet.
INSERT INTO vault (id, probe) VALUES (1, :probe) ON CONFLICT (id) DO NOTHING;

-- name: get_probe
-- The vault's probe.
SELECT probe FROM vault WHERE id = 1;
