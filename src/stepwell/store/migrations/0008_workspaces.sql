-- What a workspace keeps about itself, and since when it starts no runs.

ALTER TABLE workspaces ADD COLUMN settings BLOB NOT NULL DEFAULT '{}';
ALTER TABLE workspaces ADD COLUMN paused_at INTEGER;
ALTER TABLE workspaces ADD COLUMN updated_at INTEGER;
