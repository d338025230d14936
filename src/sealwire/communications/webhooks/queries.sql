-- name: insert_endpoint
INSERT INTO communications.webhook_endpoint
    (account_id, endpoint_id, address, label, events, state, secret, created_at, changed_at)
VALUES ($1, $2, $3, $4, $5, 'active', $6, $7, $7)

-- name: find_endpoint
SELECT endpoint_id, address, label, events, state, secret_before_until, failing_since, disabled_at, created_at, changed_at
FROM communications.webhook_endpoint WHERE account_id = $1 AND endpoint_id = $2 AND state <> 'removed'

-- name: list_endpoints
SELECT endpoint_id, address, label, events, state, secret_before_until, failing_since, disabled_at, created_at, changed_at
FROM communications.webhook_endpoint
WHERE account_id = $1 AND state <> 'removed' AND ($2::timestamptz IS NULL OR (created_at, endpoint_id) < ($2, $3))
ORDER BY created_at DESC, endpoint_id DESC LIMIT $4

-- name: count_endpoints
SELECT count(*) FROM communications.webhook_endpoint WHERE account_id = $1 AND state <> 'removed'

-- name: change_endpoint
UPDATE communications.webhook_endpoint
SET address = $3, label = $4, events = $5, state = $6, changed_at = $7,
    failing_since = CASE WHEN state = $6 THEN failing_since END, disabled_at = CASE WHEN state = $6 THEN disabled_at END
WHERE account_id = $1 AND endpoint_id = $2 AND state <> 'removed'

-- name: rotate_secret
UPDATE communications.webhook_endpoint
SET secret = $3, secret_before = secret, secret_before_until = $4, changed_at = $5
WHERE account_id = $1 AND endpoint_id = $2 AND state <> 'removed' RETURNING endpoint_id

-- name: remove_endpoint
UPDATE communications.webhook_endpoint SET state = 'removed', changed_at = $3
WHERE account_id = $1 AND endpoint_id = $2 AND state <> 'removed' RETURNING endpoint_id

-- name: hurry
UPDATE communications.webhook_outbox SET due_at = $3 WHERE account_id = $1 AND endpoint_id = $2 AND due_at > $3

-- name: announce
SELECT communications.announce($1, $2, $3, $4)

-- name: tell_one
WITH told AS (
    INSERT INTO communications.webhook_outbox
        (account_id, delivery_id, endpoint_id, event, reference, announced_at, due_at)
    VALUES ($1, $2, $3, $4, $5, $6, $6)
    RETURNING delivery_id
) SELECT count(pg_notify('sealwire_webhooks', '')) FROM told

-- name: find_pending
SELECT delivery_id, endpoint_id, event, announced_at, due_at, attempts, last_status
FROM communications.webhook_outbox WHERE account_id = $1 AND delivery_id = $2

-- name: list_pending
SELECT delivery_id, endpoint_id, event, announced_at, due_at, attempts, last_status
FROM communications.webhook_outbox
WHERE account_id = $1 AND ($2::timestamptz IS NULL OR (announced_at, delivery_id) < ($2, $3))
ORDER BY announced_at DESC, delivery_id DESC LIMIT $4

-- name: try_now
WITH hurried AS (
    UPDATE communications.webhook_outbox SET due_at = least(due_at, $3) WHERE account_id = $1 AND delivery_id = $2
    RETURNING delivery_id
) SELECT count(pg_notify('sealwire_webhooks', '')) FROM hurried

-- name: release_claims
UPDATE communications.webhook_outbox SET claimed_until = NULL WHERE claimed_until IS NOT NULL

-- name: claim
WITH due AS (
    SELECT o.account_id, o.delivery_id, row_number() OVER (PARTITION BY o.account_id ORDER BY o.due_at) + (
        SELECT count(*) FROM communications.webhook_outbox c
        WHERE c.account_id = o.account_id AND c.claimed_until > $1) AS place
    FROM communications.webhook_endpoint e CROSS JOIN LATERAL (
        SELECT w.account_id, w.delivery_id, w.due_at FROM communications.webhook_outbox w
        WHERE w.account_id = e.account_id AND w.endpoint_id = e.endpoint_id AND w.due_at <= $1
          AND (w.claimed_until IS NULL OR w.claimed_until <= $1)
        ORDER BY w.due_at LIMIT greatest(0, $3 - (
            SELECT count(*) FROM communications.webhook_outbox c
            WHERE c.account_id = e.account_id AND c.endpoint_id = e.endpoint_id AND c.claimed_until > $1))
    ) o
    WHERE e.state <> 'paused' ORDER BY place, o.due_at LIMIT $4
)
UPDATE communications.webhook_outbox w SET claimed_until = $2
FROM due, communications.webhook_endpoint e
WHERE due.place <= $5 AND w.account_id = due.account_id AND w.delivery_id = due.delivery_id
  AND e.account_id = w.account_id AND e.endpoint_id = w.endpoint_id
RETURNING w.account_id, w.delivery_id, w.endpoint_id, w.event, w.reference, w.announced_at, w.attempts, w.last_status,
    w.delivered, w.ended_at, e.address, e.state, e.secret, e.secret_before, e.secret_before_until

-- name: try_later
UPDATE communications.webhook_outbox SET due_at = $3, attempts = $4, last_status = $5, claimed_until = NULL
WHERE account_id = $1 AND delivery_id = $2

-- name: end_delivery
UPDATE communications.webhook_outbox
SET ended_at = $3, attempts = $4, last_status = $5, delivered = $6
WHERE account_id = $1 AND delivery_id = $2

-- name: keep_later
UPDATE communications.webhook_outbox SET due_at = $3, claimed_until = NULL WHERE account_id = $1 AND delivery_id = $2

-- name: forget_delivery
DELETE FROM communications.webhook_outbox WHERE account_id = $1 AND delivery_id = $2

-- name: note_success
UPDATE communications.webhook_endpoint SET failing_since = NULL
WHERE account_id = $1 AND endpoint_id = $2 AND failing_since IS NOT NULL

-- name: note_failure
UPDATE communications.webhook_endpoint SET failing_since = coalesce(failing_since, $3)
WHERE account_id = $1 AND endpoint_id = $2 RETURNING failing_since

-- name: disable_endpoint
UPDATE communications.webhook_endpoint SET state = 'disabled', disabled_at = $3
WHERE account_id = $1 AND endpoint_id = $2 AND state = 'active' RETURNING endpoint_id

-- name: forget_removed
DELETE FROM communications.webhook_endpoint e WHERE e.state = 'removed' AND NOT EXISTS (
    SELECT FROM communications.webhook_outbox w WHERE w.account_id = e.account_id AND w.endpoint_id = e.endpoint_id)
