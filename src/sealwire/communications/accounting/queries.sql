-- name: sums
SELECT (r.ended_at AT TIME ZONE 'UTC')::date AS day, coalesce(r.item, 'call') AS item, coalesce(r.tariff, '') AS tariff,
       count(*) AS charges, coalesce(sum(coalesce(r.units, r.seconds_charged)), 0)::bigint AS units,
       coalesce(sum(r.amount_millicents), 0)::bigint AS amount_millicents
FROM custody.billing_record r
WHERE r.account_id = $1 AND r.ended_at >= $2 AND r.ended_at < $3
  AND NOT EXISTS (SELECT FROM custody.gone_day d WHERE d.account_id = r.account_id AND d.category = 3
                  AND d.retention_class = r.retention_class AND d.day = r.day)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: calls_by_day
SELECT (r.ended_at AT TIME ZONE 'UTC')::date AS day, r.direction, count(*) AS calls, count(r.answered_at) AS answered,
       coalesce(sum(greatest(0, extract(epoch FROM r.ended_at - r.answered_at))), 0)::float8 AS seconds
FROM custody.call_record r
WHERE r.account_id = $1 AND r.ended_at >= $2 AND r.ended_at < $3
  AND NOT EXISTS (SELECT FROM custody.gone g WHERE g.account_id = r.account_id AND g.record_id = r.record_id)
  AND NOT EXISTS (SELECT FROM custody.gone_day d WHERE d.account_id = r.account_id AND d.category = 1
                  AND d.retention_class = r.retention_class AND d.day = r.day)
GROUP BY 1, 2 ORDER BY 1, 2

-- name: messages_by_day
SELECT (r.accepted_at AT TIME ZONE 'UTC')::date AS day, r.direction, count(*) AS messages,
       coalesce(sum(r.segments), 0)::bigint AS segments
FROM custody.message_record r
WHERE r.account_id = $1 AND r.accepted_at >= $2 AND r.accepted_at < $3
  AND NOT EXISTS (SELECT FROM custody.gone g WHERE g.account_id = r.account_id AND g.record_id = r.record_id)
  AND NOT EXISTS (SELECT FROM custody.gone_day d WHERE d.account_id = r.account_id AND d.category = 8
                  AND d.retention_class = r.retention_class AND d.day = r.day)
GROUP BY 1, 2 ORDER BY 1, 2
