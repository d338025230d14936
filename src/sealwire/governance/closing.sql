-- name: begin_closing
UPDATE governance.account SET closure_id = $2, closing_at = $3, closes_at = $4, retrieval_sha256 = $5
WHERE account_id = $1 AND closing_at IS NULL RETURNING account_id

-- name: cancel_closing
UPDATE governance.account SET closure_id = NULL, closing_at = NULL, closes_at = NULL, retrieval_sha256 = NULL
WHERE account_id = $1 AND closing_at IS NOT NULL AND closed_at IS NULL AND closes_at > $2 RETURNING account_id

-- name: close
UPDATE governance.account SET closed_at = coalesce(closed_at, $2)
WHERE account_id = $1 AND closing_at IS NOT NULL AND closes_at <= $2 RETURNING closed_at

-- name: standing
SELECT state, closure_id, closing_at, closes_at, closed_at, country FROM governance.account WHERE account_id = $1

-- name: set_country
UPDATE governance.account SET country = $2 WHERE account_id = $1
