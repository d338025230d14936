-- name: log_heads
SELECT account_id, origin, size, root FROM evidence.head ORDER BY account_id

-- name: system_identifier
SELECT system_identifier::text FROM pg_control_system()
