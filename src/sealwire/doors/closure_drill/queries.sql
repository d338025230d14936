-- name: tables_of_accounts
SELECT name FROM custody.tables_of_accounts()

-- name: object_prefix
SELECT object_prefix FROM governance.account WHERE account_id = $1
