-- name: periods
SELECT category, retention_class, days, told_days, instruction_id, changed_day FROM custody.retention_period
WHERE account_id = $1 ORDER BY category, retention_class

-- name: admit_periods
INSERT INTO custody.retention_period (account_id, category, retention_class, days, told_days)
SELECT $1, g.category, g.retention_class, g.days, g.days
FROM unnest($2::smallint[], $3::smallint[], $4::integer[]) AS g (category, retention_class, days)
ON CONFLICT DO NOTHING

-- name: admit_class
INSERT INTO custody.retention_period (account_id, category, retention_class, days)
SELECT $1, p.category, $2, p.days FROM custody.retention_period p WHERE p.account_id = $1 AND p.retention_class = 0
ON CONFLICT DO NOTHING

-- name: set_period
INSERT INTO custody.retention_period AS p
    (account_id, category, retention_class, days, instruction_id, changed_day)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account_id, category, retention_class)
DO UPDATE SET days = $4, instruction_id = $5, changed_day = CASE WHEN p.days = $4 THEN p.changed_day ELSE $6 END

-- name: settle_in_turn
SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 9))

-- name: untold
SELECT category, retention_class, days FROM custody.retention_period
WHERE account_id = $1 AND told_days IS DISTINCT FROM days ORDER BY category, retention_class

-- name: told
UPDATE custody.retention_period p SET told_days = g.days
FROM unnest($2::smallint[], $3::smallint[], $4::integer[]) AS g (category, retention_class, days)
WHERE p.account_id = $1 AND p.category = g.category AND p.retention_class = g.retention_class AND p.days = g.days

-- name: accounts_untold
SELECT DISTINCT p.account_id FROM custody.retention_period p
WHERE p.told_days IS DISTINCT FROM p.days ORDER BY p.account_id

-- name: wake_worker
SELECT pg_notify('sealwire_retention', '')

-- name: note_run
INSERT INTO custody.expiry AS e (account_id, ran_at, days, missed_days, missed_at)
VALUES ($1, $2::timestamptz, $3, $4::integer, CASE WHEN $4::integer > 0 THEN $2::timestamptz END)
ON CONFLICT (account_id) DO UPDATE SET ran_at = $2, days = $3,
    missed_days = CASE WHEN $4 > 0 THEN $4 ELSE e.missed_days END,
    missed_at = CASE WHEN $4 > 0 THEN $2 ELSE e.missed_at END

-- name: classes
SELECT retention_class, name FROM governance.retention_class WHERE account_id = $1 ORDER BY retention_class

-- name: name_class
INSERT INTO governance.retention_class (account_id, retention_class, name, changed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, retention_class) DO UPDATE SET name = $3, changed_at = $4
