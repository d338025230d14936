-- name: removals_overdue
SELECT count(*) FROM custody.erasure WHERE state <> 'removed' AND state = 'unreadable' AND unreadable_at < $1

-- name: nights_missed
SELECT count(*) AS accounts, coalesce(sum(missed_days), 0)::bigint AS days FROM custody.expiry WHERE missed_at > $1
