-- name: log_heads
SELECT account_id, origin, size, root FROM evidence.head ORDER BY account_id

-- name: system_identifier
SELECT system_identifier::text FROM pg_control_system()

-- name: hold_wal
SELECT pg_create_physical_replication_slot($1, true, true)

-- name: objects_begun
SELECT object_name FROM custody.media_begun

-- name: reopen_erasure
INSERT INTO custody.erasure (account_id, erasure_id, ground, requested_by, requested_at, state, gone_from_backups_by)
VALUES ($1, $2, $3, $4, $5, 'hidden', $6) ON CONFLICT DO NOTHING

-- name: take_period
UPDATE custody.retention_period SET days = $4, told_days = $4
WHERE account_id = $1 AND category = $2 AND retention_class = $3

-- name: end_credentials
UPDATE governance.credential SET revoked_at = $2
WHERE account_id = $1 AND revoked_at IS NULL AND ($3 OR credential_id = ANY($4::uuid[])) RETURNING credential_id

-- name: end_programs
UPDATE governance.program SET revoked_at = $2
WHERE account_id = $1 AND revoked_at IS NULL AND ($3 OR program_id = ANY($4::uuid[])) RETURNING program_id

-- name: close_again
UPDATE governance.account SET closing_at = $2, closes_at = $2, closed_at = $2, closure_id = $3,
    retrieval_sha256 = sha256(gen_random_uuid()::text::bytea)
WHERE account_id = $1 AND closed_at IS NULL

-- name: cancel_others
UPDATE custody.closure SET state = 'cancelled', cancelled_at = $3
WHERE account_id = $1 AND closure_id <> $2 AND state = 'grace'

-- name: closure_again
INSERT INTO custody.closure AS c
    (account_id, closure_id, state, requested_by, grace_days, begun_at, ends_at, hidden_at, gone_from_backups_by)
VALUES ($1, $2, 'hidden', $3, 0, $4, $4, $4, $5)
ON CONFLICT (account_id, closure_id) DO UPDATE SET state = 'hidden', hidden_at = $4, gone_from_backups_by = $5
WHERE c.state = 'grace'

-- name: place_again
INSERT INTO custody.hold AS o (account_id, hold_id, kind, reason, until_day, placed_by, placed_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'in-force')
ON CONFLICT (account_id, hold_id) DO UPDATE SET until_day = greatest(o.until_day, excluded.until_day)
WHERE o.state IN ('placing', 'in-force') RETURNING state

-- name: hold_again
INSERT INTO custody.held (account_id, hold_id, category, retention_class, day, slot, record_id, restricts)
SELECT $1, $2, g.category, g.retention_class, g.day, g.slot, g.record_id, $3
FROM unnest($4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::uuid[])
     AS g (category, retention_class, day, slot, record_id)
ON CONFLICT DO NOTHING

-- name: count_again
UPDATE custody.hold o SET
    records = (SELECT count(*) FROM custody.held h WHERE h.account_id = $1 AND h.hold_id = $2 AND h.slot IS NOT NULL),
    days = (SELECT count(*) FROM custody.held h WHERE h.account_id = $1 AND h.hold_id = $2 AND h.slot IS NULL)
WHERE o.account_id = $1 AND o.hold_id = $2

-- name: release_again
UPDATE custody.hold SET state = 'releasing', released_by = $3, released_at = $4, released_because = $5
WHERE account_id = $1 AND hold_id = ANY($2) AND state IN ('placing', 'in-force')
  AND ($6::integer IS NULL OR until_day < $6)

-- name: let_go_again
DELETE FROM custody.held h USING custody.hold o
WHERE h.account_id = $1 AND h.hold_id = ANY($2) AND o.account_id = h.account_id AND o.hold_id = h.hold_id
  AND o.state = 'releasing' AND (h.record_id IS NULL OR NOT EXISTS (
      SELECT FROM custody.gone_day d WHERE d.account_id = h.account_id AND d.category = h.category
      AND d.retention_class = h.retention_class AND d.day = h.day))

-- name: free_again
DELETE FROM custody.held h USING unnest($2::smallint[], $3::smallint[], $4::integer[], $5::integer[])
     AS g (category, retention_class, day, slot)
WHERE h.account_id = $1 AND h.category = g.category AND h.retention_class = g.retention_class AND h.day = g.day
  AND h.slot = g.slot

-- name: held_of_day
SELECT coalesce(bool_or(record_id IS NULL), false) AS is_whole, bool_or(record_id IS NOT NULL) AND NOT EXISTS (
    SELECT FROM custody.gone_day
    WHERE account_id = $1 AND category = $2 AND retention_class = $3 AND day = $4) AS is_to_be_marked,
    count(DISTINCT record_id) AS records
FROM custody.held WHERE account_id = $1 AND category = $2 AND retention_class = $3 AND day = $4

-- name: call_off_closing
WITH off AS (
    UPDATE custody.closure SET state = 'cancelled', cancelled_at = $2
    WHERE account_id = $1 AND state = 'grace' RETURNING closure_id
) UPDATE governance.account SET closure_id = NULL, closing_at = NULL, closes_at = NULL, retrieval_sha256 = NULL
WHERE account_id = $1 AND closed_at IS NULL AND closure_id IN (SELECT closure_id FROM off)
