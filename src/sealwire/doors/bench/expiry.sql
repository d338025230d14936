-- name: checkpoint
CHECKPOINT

-- name: at_rest
SELECT 1 WHERE NOT EXISTS (SELECT FROM custody.erasure WHERE account_id = $1 AND state <> 'removed')

-- name: unreadable_day
SELECT extract(epoch FROM e.unreadable_at - e.requested_at)::float8 AS unreadable_s
FROM custody.gone_day d JOIN custody.erasure e USING (account_id, erasure_id)
WHERE d.account_id = $1 AND d.category = 1 AND d.day = $2 AND e.unreadable_at IS NOT NULL

-- name: rows_gone
SELECT 1 WHERE NOT EXISTS (SELECT FROM custody.day_in_use WHERE account_id = $1 AND category = 1 AND day = $2)

-- name: removed_day
SELECT extract(epoch FROM e.removed_at - e.unreadable_at)::float8 AS removed_s
FROM custody.gone_day d JOIN custody.erasure e USING (account_id, erasure_id)
WHERE d.account_id = $1 AND d.category = 1 AND d.day = $2 AND e.removed_at IS NOT NULL

-- name: unreadable_erasure
SELECT extract(epoch FROM unreadable_at - requested_at)::float8 AS unreadable_s
FROM custody.erasure WHERE account_id = $1 AND erasure_id = $2 AND unreadable_at IS NOT NULL
