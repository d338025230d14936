-- name: store_operator_credential
SELECT governance.store_operator_credential($1, $2, $3)

-- name: open_accounts
SELECT account_id FROM governance.account WHERE closed_at IS NULL ORDER BY created_at
