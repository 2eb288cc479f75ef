-- name: insert_connector
-- Store a connector, unless there is one of its name.
INSERT INTO connectors (name, title, source, manifest, skipped, created_at, updated_at)
VALUES (:name, :title, :source, :manifest, :skipped, :now, :now)
ON CONFLICT (name) DO NOTHING;

-- name: replace_connector
-- Store a connector in place of one of its name, if there is one.
INSERT INTO connectors (name, title, source, manifest, skipped, created_at, updated_at)
VALUES (:name, :title, :source, :manifest, :skipped, :now, :now)
ON CONFLICT (name) DO UPDATE SET
  title = excluded.title,
  source = excluded.source,
  manifest = excluded.manifest,
  skipped = excluded.skipped,
  updated_at = excluded.updated_at;

-- name: get_connector
-- One connector.
SELECT name, title, source, manifest, skipped, created_at, updated_at FROM connectors WHERE name = :name;

-- name: list_connectors
-- All connectors, by name.
SELECT name, title, source, manifest, skipped, created_at, updated_at FROM connectors ORDER BY name;

-- name: delete_connector
-- Remove a connector.
DELETE FROM connectors WHERE name = :name;
