-- name: add_recipient
INSERT INTO communications.recipient (account_id, recipient_id, public_key, label, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account_id, public_key) WHERE retired_at IS NULL DO NOTHING
RETURNING recipient_id;

-- name: count_valid_recipients
SELECT count(*) FROM communications.recipient
WHERE account_id = $1 AND retired_at IS NULL AND (expires_at IS NULL OR expires_at > $2);

-- name: list_recipients
SELECT recipient_id, public_key, label, created_at, expires_at, retired_at FROM communications.recipient
WHERE account_id = $1 ORDER BY created_at, recipient_id;

-- name: find_recipient
SELECT recipient_id, public_key, label, created_at, expires_at, retired_at FROM communications.recipient
WHERE account_id = $1 AND recipient_id = $2;

-- name: retire_recipient
UPDATE communications.recipient SET retired_at = $3
WHERE account_id = $1 AND recipient_id = $2 AND retired_at IS NULL;

-- name: lock_recipients
SELECT pg_advisory_xact_lock(hashtextextended($1::text || 'recipients', 11));
