-- What starts runs by itself, what arrived from outside, and whom runs act for.

-- One row per rule: a workflow's own trigger has the workflow's id; an instance has an id of its own.
CREATE TABLE triggers (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  kind TEXT NOT NULL,          -- schedule, webhook or poll
  slug TEXT NOT NULL,          -- schedule, webhook or <connector>.<event>
  workflow BLOB,               -- NULL: every workflow that is linked to it
  instance INTEGER NOT NULL,   -- made beside the workflow's document
  end_user BLOB,
  connection BLOB,
  config BLOB NOT NULL,        -- JSON, as a trigger of the document is written
  provider TEXT,               -- of a webhook that arrives on a provider's path
  path TEXT,                   -- of a webhook that arrives on a path of its own
  sealed BLOB,                 -- secrets of its own
  status TEXT NOT NULL,        -- active, disabled (by a caller) or error (by the server)
  reason TEXT,
  scheduled_at INTEGER,        -- the instant that is due next, by the rule
  next_at INTEGER,             -- when that is done: jitter and retries included; NULL while nothing is to be done
  cursor BLOB,                 -- how far a poll has come, JSON
  fired INTEGER NOT NULL DEFAULT 0,
  refused INTEGER NOT NULL DEFAULT 0,
  refused_in_row INTEGER NOT NULL DEFAULT 0,
  last_fired_at INTEGER,
  disabled_at INTEGER,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
-- The same user, slug, account and workflow is the same instance, however often it is asked for.
CREATE UNIQUE INDEX triggers_by_identity
  ON triggers (workspace, coalesce(end_user, x''), slug, coalesce(connection, x''), coalesce(workflow, x'')) WHERE instance = 1;
CREATE UNIQUE INDEX triggers_by_id ON triggers (id); -- an address may name a trigger alone
CREATE INDEX triggers_by_workflow ON triggers (workspace, workflow, id);
CREATE INDEX triggers_by_provider ON triggers (workspace, provider) WHERE provider IS NOT NULL;
CREATE INDEX triggers_by_path ON triggers (workspace, path) WHERE path IS NOT NULL;
CREATE INDEX triggers_by_connection ON triggers (workspace, connection) WHERE connection IS NOT NULL;
CREATE INDEX triggers_by_due ON triggers (next_at) WHERE next_at IS NOT NULL;

-- Which workflows name an instance that has no workflow of its own: by its id, or by its slug.
CREATE TABLE trigger_links (
  workspace BLOB NOT NULL,
  target TEXT NOT NULL,
  workflow BLOB NOT NULL,
  PRIMARY KEY (workspace, target, workflow)
) WITHOUT ROWID;
CREATE INDEX trigger_links_by_workflow ON trigger_links (workspace, workflow);

-- What came of each time a trigger fired: a run, or why there is none. The key makes a firing happen once.
CREATE TABLE firings (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  trigger BLOB NOT NULL,
  slug TEXT NOT NULL,          -- of the trigger, which may be gone
  workflow BLOB,
  key TEXT NOT NULL,
  source TEXT NOT NULL,        -- schedule, webhook, poll
  status TEXT NOT NULL,        -- started, skipped or failed
  reason TEXT,
  run BLOB,
  scheduled_at INTEGER,
  delivery BLOB,
  payload BLOB,                -- of polls; a webhook's is in its delivery
  end_user BLOB,
  duration_ms INTEGER NOT NULL DEFAULT 0,
  replay_of BLOB,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX firings_by_key ON firings (workspace, trigger, coalesce(workflow, x''), key);
CREATE INDEX firings_by_trigger ON firings (workspace, trigger, id);
CREATE INDEX firings_by_workflow ON firings (workspace, workflow, id) WHERE workflow IS NOT NULL;
CREATE INDEX firings_by_delivery ON firings (workspace, delivery, id) WHERE delivery IS NOT NULL;

-- Inbound requests as they arrived.
CREATE TABLE deliveries (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  status TEXT NOT NULL,        -- processed, duplicate, rejected or ignored
  reason TEXT,
  provider TEXT NOT NULL,      -- custom for paths of their own
  trigger BLOB,                -- of a path that is one trigger's
  pending INTEGER NOT NULL,    -- its runs may not all have been started
  event_type TEXT,
  duplicate_of BLOB,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  query TEXT NOT NULL,
  headers BLOB NOT NULL,       -- a JSON list of pairs
  body BLOB NOT NULL,
  PRIMARY KEY (workspace, id)
);
CREATE INDEX deliveries_pending ON deliveries (id) WHERE pending = 1;
CREATE INDEX deliveries_by_status ON deliveries (workspace, status, id);

-- Which events have arrived: route and event id once, for a time.
CREATE TABLE delivery_keys (
  workspace BLOB NOT NULL,
  route TEXT NOT NULL,
  key TEXT NOT NULL,
  delivery BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (workspace, route, key)
) WITHOUT ROWID;
CREATE INDEX delivery_keys_by_age ON delivery_keys (at);

ALTER TABLE runs ADD COLUMN fired_by BLOB;               -- the trigger that started it
ALTER TABLE runs ADD COLUMN end_user BLOB;               -- whom it acts for
ALTER TABLE runs ADD COLUMN chain BLOB;                  -- the first run of its retries and restarts; NULL: itself
ALTER TABLE runs ADD COLUMN mock INTEGER NOT NULL DEFAULT 0; -- actions leave the server alone
CREATE INDEX runs_fired ON runs (workspace, fired_by, id) WHERE fired_by IS NOT NULL;
CREATE INDEX runs_by_chain ON runs (workspace, chain, id) WHERE chain IS NOT NULL;
CREATE INDEX runs_by_user ON runs (workspace, end_user, id) WHERE end_user IS NOT NULL;

-- People outside, on whose behalf workflows run.
CREATE TABLE end_users (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  username TEXT NOT NULL,
  active INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX end_users_by_name ON end_users (workspace, username);

-- The app that connections of a provider are made with: an OAuth client, or how its keys are asked for.
CREATE TABLE auth_configs (
  workspace BLOB NOT NULL,
  id BLOB NOT NULL,
  provider TEXT NOT NULL,
  name TEXT NOT NULL,
  scheme TEXT NOT NULL,
  sealed BLOB,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;

-- Pages at which somebody without a key connects an account; a token works once.
CREATE TABLE account_links (
  hash BLOB NOT NULL PRIMARY KEY,
  workspace BLOB NOT NULL,
  connection BLOB NOT NULL,
  callback_url TEXT,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX account_links_by_age ON account_links (expires_at);

-- Authorizations that were asked for at a provider and have not come back: the state, hashed, and what is needed then.
CREATE TABLE oauth_grants (
  hash BLOB NOT NULL PRIMARY KEY,
  workspace BLOB NOT NULL,
  connection BLOB NOT NULL,
  sealed BLOB NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX oauth_grants_by_age ON oauth_grants (expires_at);

ALTER TABLE connections ADD COLUMN end_user BLOB;
ALTER TABLE connections ADD COLUMN auth_config BLOB;
ALTER TABLE connections ADD COLUMN reason TEXT;          -- why it is not active
ALTER TABLE connections ADD COLUMN expires_at INTEGER;   -- of its access token
ALTER TABLE connections ADD COLUMN checked_at INTEGER;   -- the last test call or refresh
CREATE INDEX connections_by_user ON connections (workspace, end_user, provider) WHERE end_user IS NOT NULL;
