-- name: fill_run
-- Store a run as it is found some time after it was started.
INSERT INTO runs (workspace, id, workflow, version, state, trigger, waits_on, epoch, seq, state_seq, started_at, ended_at, input, output)
VALUES (:workspace, :id, :workflow, 1, :state, :trigger, :waits_on, 1, 8, 8, 1, :ended_at, '{"n":1,"who":"ana@example.com"}', '{"n":4}');
