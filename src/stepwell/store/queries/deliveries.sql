-- name: insert_delivery
-- Keep a request as it arrived.
INSERT INTO deliveries (workspace, id, status, reason, provider, trigger, pending, event_type, duplicate_of, method, path,
                        query, headers, body)
VALUES (:workspace, :id, :status, :reason, :provider, :trigger, :pending, :event_type, :duplicate_of, :method, :path,
        :query, :headers, :body);

-- name: take_arrival
-- Let an event of a route belong to a delivery, unless it arrived before, after a time.
INSERT INTO delivery_keys (workspace, route, key, delivery, at) VALUES (:workspace, :route, :key, :delivery, :at)
ON CONFLICT (workspace, route, key) DO UPDATE SET delivery = excluded.delivery, at = excluded.at
WHERE delivery_keys.at <= :since;

-- name: holder_of_event
-- The delivery that an event of a route belongs to.
SELECT delivery FROM delivery_keys WHERE workspace = :workspace AND route = :route AND key = :key;

-- name: events_of_delivery
-- The events of a route that belong to a delivery.
SELECT key FROM delivery_keys WHERE workspace = :workspace AND route = :route AND delivery = :delivery ORDER BY key;

-- name: close_delivery
-- Nothing is pending of a delivery that has started all the runs that were wished for.
UPDATE deliveries SET pending = 0
WHERE workspace = :workspace AND id = :id AND pending = 1
  AND (SELECT count(*) FROM firings INDEXED BY firings_by_delivery
       WHERE workspace = :workspace AND delivery = :id AND status = 'started') >= :expected;

-- name: settle_delivery
-- Note what came of a delivery.
UPDATE deliveries SET status = :status, reason = :reason, pending = 0 WHERE workspace = :workspace AND id = :id;

-- name: get_delivery
-- One delivery, whole.
SELECT id, status, provider, method, path, query, headers, reason, trigger, pending, event_type, duplicate_of, body
FROM deliveries WHERE workspace = :workspace AND id = :id;

-- name: list_deliveries
-- A page of deliveries, newest first, without bodies.
SELECT id, status, provider, method, path, query, headers, reason, trigger, pending, event_type, duplicate_of
FROM deliveries
WHERE workspace = :workspace AND id < :before
  AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status)
  AND (:workflow IS NULL OR EXISTS (
        SELECT 1 FROM firings AS f INDEXED BY firings_by_delivery
        WHERE f.workspace = deliveries.workspace AND f.delivery = deliveries.id AND f.workflow = :workflow))
ORDER BY id DESC LIMIT :limit;

-- name: pending_deliveries
-- Deliveries of which runs may be missing, oldest first.
SELECT id, status, provider, method, path, query, headers, reason, trigger, pending, event_type, duplicate_of, body,
       workspace
FROM deliveries INDEXED BY deliveries_pending WHERE pending = 1 AND id < :before ORDER BY id LIMIT :limit;

-- name: prune_deliveries
-- Remove old deliveries of which nothing is pending.
DELETE FROM deliveries WHERE (workspace, id) IN (
  SELECT workspace, id FROM deliveries WHERE id < :before AND pending = 0 LIMIT :limit);

-- name: prune_rejected
-- Remove the oldest deliveries of a status beyond those that are kept.
DELETE FROM deliveries WHERE (workspace, id) IN (
  SELECT workspace, id FROM deliveries INDEXED BY deliveries_by_status
  WHERE workspace = :workspace AND status = :status ORDER BY id DESC LIMIT :limit OFFSET :keep);

-- name: forget_events
-- Forget events that arrived long ago.
DELETE FROM delivery_keys WHERE (workspace, route, key) IN (
  SELECT workspace, route, key FROM delivery_keys INDEXED BY delivery_keys_by_age WHERE at < :before LIMIT :limit);
