-- When somebody last paused or resumed a run.

ALTER TABLE runs ADD COLUMN steered_at INTEGER;
