-- Events that were sent under ids of their senders, taken or not: as long as its run is there, none counts twice.

CREATE TABLE sent_events (
  workspace BLOB NOT NULL,
  run BLOB NOT NULL,
  id BLOB NOT NULL,
  delivered INTEGER NOT NULL, -- a wait was open for it
  PRIMARY KEY (workspace, run, id)
) WITHOUT ROWID;
