-- name: put_errand
-- Keep what is to be done later; the same operation once.
INSERT INTO outbox (workspace, operation, due, sealed) VALUES (:workspace, :operation, :due, :sealed)
ON CONFLICT (workspace, operation) DO NOTHING;

-- name: due_errands
-- What is to be done now, what is due longest first.
SELECT workspace, operation, due, attempts, sealed FROM outbox INDEXED BY outbox_by_due
WHERE due <= :now ORDER BY due LIMIT :limit;

-- name: next_errand
-- When something is to be done next.
SELECT min(due) FROM outbox;

-- name: put_off_errand
-- Try an errand again later.
UPDATE outbox SET due = :due, attempts = attempts + 1 WHERE workspace = :workspace AND operation = :operation;

-- name: end_errand
-- Forget an errand that is done or given up.
DELETE FROM outbox WHERE workspace = :workspace AND operation = :operation;
