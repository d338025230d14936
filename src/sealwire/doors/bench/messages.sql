-- name: progress
SELECT count(*) FILTER (WHERE state = 'delivered') AS delivered, max(sent_at) AS last_sent_at,
       max(final_at) AS last_final_at, max(attempts) AS attempts_max
FROM communications.message
