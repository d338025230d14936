-- name: store_operator_credential
SELECT governance.store_operator_credential($1, $2, $3)

-- name: open_accounts
SELECT account_id FROM governance.account WHERE closed_at IS NULL ORDER BY created_at

-- name: categories_of
SELECT DISTINCT category FROM custody.retention_period WHERE account_id = $1

-- name: admit_periods
INSERT INTO custody.retention_period (account_id, category, retention_class, days, told_days)
SELECT $1, g.category, g.retention_class, g.days, g.days
FROM unnest($2::smallint[], $3::smallint[], $4::integer[]) AS g (category, retention_class, days)
ON CONFLICT DO NOTHING
