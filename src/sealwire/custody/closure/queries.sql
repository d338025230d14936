-- name: insert_closure
INSERT INTO custody.closure (account_id, closure_id, state, requested_by, grace_days, begun_at, ends_at)
VALUES ($1, $2, 'grace', $3, $4, $5, $6)

-- name: find_closure
SELECT account_id, closure_id, state, requested_by, grace_days, begun_at, ends_at, cancelled_at, hidden_at,
       unreadable_at, removed_at, gone_from_backups_by, receipts, kept, certificate
FROM custody.closure WHERE account_id = $1 AND closure_id = $2

-- name: newest_closure
SELECT account_id, closure_id, state, requested_by, grace_days, begun_at, ends_at, cancelled_at, hidden_at,
       unreadable_at, removed_at, gone_from_backups_by, receipts, kept, certificate
FROM custody.closure WHERE account_id = $1 ORDER BY begun_at DESC LIMIT 1

-- name: closures_of_all
SELECT account_id, closure_id, state, requested_by, grace_days, begun_at, ends_at, cancelled_at, hidden_at,
       unreadable_at, removed_at, gone_from_backups_by, receipts, kept, certificate
FROM custody.closures_of_all($1, $2, $3)

-- name: account_of_closure
SELECT custody.account_of_closure($1)

-- name: mark_cancelled
UPDATE custody.closure SET state = 'cancelled', cancelled_at = $3
WHERE account_id = $1 AND closure_id = $2 AND state = 'grace' RETURNING closure_id

-- name: closures_to_do
SELECT account_id, closure_id, state FROM custody.closure
WHERE state = ANY($1) AND (state <> 'grace' OR ends_at <= $2) AND closure_id <> ALL($3) ORDER BY ends_at LIMIT $4

-- name: closures_to_look_at_again
SELECT account_id, closure_id FROM custody.closure
WHERE state = 'removed' AND (removed_at > $1 OR kept @> '[{"what": "held-records"}]')

-- name: mark_hidden
UPDATE custody.closure SET state = 'hidden', hidden_at = $3, gone_from_backups_by = $4
WHERE account_id = $1 AND closure_id = $2 AND state = 'grace'

-- name: save_closure_receipts
UPDATE custody.closure SET receipts = $3, kept = $4 WHERE account_id = $1 AND closure_id = $2 AND state = 'hidden'

-- name: mark_closure_unreadable
UPDATE custody.closure SET state = 'unreadable', unreadable_at = $3, certificate = $4
WHERE account_id = $1 AND closure_id = $2 AND state = 'hidden'

-- name: mark_closure_removed
UPDATE custody.closure SET state = 'removed', removed_at = $3, certificate = $4
WHERE account_id = $1 AND closure_id = $2 AND state = 'unreadable'

-- name: object_prefix
SELECT object_prefix FROM governance.account WHERE account_id = $1

-- name: objects_begun
SELECT object_name FROM custody.media_begun WHERE account_id = $1

-- name: reservations_open
SELECT count(*) FROM governance.reservation WHERE account_id = $1

-- name: tables_of_accounts
SELECT name FROM custody.tables_of_accounts()

-- name: remove_of_closed
SELECT custody.remove_of_closed($1, $2::text::regclass, $3, $4, $5)

-- name: remove_tokens_of_account
DELETE FROM custody.blind_index WHERE account_id = $1 RETURNING tableoid::regclass::text AS partition

-- name: payload_days
SELECT DISTINCT day FROM evidence.payload WHERE account_id = $1 AND idx < $2 AND day < $3 ORDER BY day

-- name: payload_slots
SELECT day, slot FROM evidence.payload WHERE account_id = $1 AND idx < $2 AND day >= $3 ORDER BY day, slot

-- name: statement_index
SELECT idx FROM evidence.statement WHERE account_id = $1 AND erasure_id = $2 AND leaf_class = $3 ORDER BY idx LIMIT 1

-- name: remove_payloads
SELECT custody.remove_payloads($1, $2)

-- name: set_billing_period
INSERT INTO custody.retention_period (account_id, category, retention_class, days, told_days) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (account_id, category, retention_class) DO UPDATE SET days = $4, told_days = $4

-- name: wake_closer
SELECT pg_notify('sealwire_closure', '')

-- name: tables_left
SELECT * FROM custody.tables_left($1)

-- name: wait_for_keeps_of
SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 7))

-- name: statutory_records
SELECT count(*) AS records, max(day) AS last_day FROM custody.billing_record WHERE account_id = $1

-- name: rewrite_partition
SELECT custody.rewrite_index_partition($1::text::regclass)

-- name: table_size
SELECT pg_table_size($1::text::regclass)

-- name: held_until
SELECT custody.held_until($1) AS last_day
