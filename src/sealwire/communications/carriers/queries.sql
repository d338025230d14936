-- name: insert_trunk
INSERT INTO communications.trunk (account_id, trunk_id, settings, secret, sources, created_at, changed_at)
VALUES ($1, $2, $3, $4, $5::text[]::cidr[], $6, $6)

-- name: find_trunk
SELECT account_id, trunk_id, settings, secret, created_at, changed_at FROM communications.trunk
WHERE account_id = $1 AND trunk_id = $2

-- name: list_trunks
SELECT account_id, trunk_id, settings, secret, created_at, changed_at FROM communications.trunk
WHERE account_id = $1 AND ($2::timestamptz IS NULL OR (created_at, trunk_id) < ($2, $3))
ORDER BY created_at DESC, trunk_id DESC LIMIT $4

-- name: count_trunks
SELECT count(*) FROM communications.trunk WHERE account_id = $1

-- name: trunks_for
SELECT account_id, trunk_id, settings, secret, created_at, changed_at FROM communications.trunk
WHERE account_id = ANY ($1::uuid[])

-- name: change_trunk
UPDATE communications.trunk SET settings = $3, secret = $4, sources = $5::text[]::cidr[], changed_at = $6
WHERE account_id = $1 AND trunk_id = $2

-- name: remove_trunk
DELETE FROM communications.trunk WHERE account_id = $1 AND trunk_id = $2 RETURNING trunk_id

-- name: may_come_in
SELECT communications.may_come_in($1, $2)

-- name: trunks_at
SELECT account_id, trunk_id, narrowness FROM communications.trunks_at($1)
