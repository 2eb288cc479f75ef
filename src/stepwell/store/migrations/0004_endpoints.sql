-- Outbound endpoints, and the messages that they are sent.

CREATE TABLE endpoints (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  url TEXT NOT NULL,
  description TEXT,
  events TEXT NOT NULL,        -- their names, between spaces
  enabled INTEGER NOT NULL,
  disabled_reason TEXT,        -- if the server disabled it
  failing_since INTEGER,       -- the first failed try after which none succeeded
  sealed BLOB NOT NULL,        -- the secret
  sealed_old BLOB,             -- the one before, which signs too until its end
  old_until INTEGER,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;

-- One event for one endpoint. The id goes with every try.
CREATE TABLE endpoint_messages (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  endpoint BLOB NOT NULL,
  type TEXT NOT NULL,
  run BLOB,                    -- NULL: a test
  at INTEGER NOT NULL,         -- when it happened
  status TEXT NOT NULL,        -- pending, delivered or failed
  attempts INTEGER NOT NULL DEFAULT 0,
  due INTEGER,                 -- the next try; NULL unless pending
  response_status INTEGER,
  error TEXT,
  subject BLOB,                -- the run as it was then, until the body is made of it
  body BLOB,                   -- as it was sent first
  tries BLOB NOT NULL,         -- a JSON list
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE INDEX endpoint_messages_by_status ON endpoint_messages (workspace, endpoint, status, id);
-- What is to be sent, a small part. An endpoint's id stands for its workspace.
CREATE INDEX endpoint_messages_pending ON endpoint_messages (endpoint, due) WHERE due IS NOT NULL;
