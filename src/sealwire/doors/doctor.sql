-- name: removals_overdue
SELECT count(*) FROM custody.erasure WHERE state <> 'removed' AND state = 'unreadable' AND unreadable_at < $1
