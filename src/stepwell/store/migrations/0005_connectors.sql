-- Connectors made from OpenAPI documents, of the whole server: one row per name.
-- `manifest` and `skipped` are compressed JSON; `source` is the address that the document came from.
CREATE TABLE connectors (
  name TEXT NOT NULL PRIMARY KEY,
  title TEXT NOT NULL,
  source TEXT,
  manifest BLOB NOT NULL,
  skipped BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
