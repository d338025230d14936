-- name: insert_hold
INSERT INTO custody.hold (account_id, hold_id, kind, reason, reference, until_day, placed_by, placed_at, state, records, days)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'placing', $9, $10)

-- name: insert_held_records
INSERT INTO custody.held (account_id, hold_id, category, retention_class, day, slot, record_id, restricts)
SELECT $1, $2, g.category, g.retention_class, g.day, g.slot, g.record_id, $3
FROM unnest($4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::uuid[])
     AS g (category, retention_class, day, slot, record_id)

-- name: insert_held_days
INSERT INTO custody.held (account_id, hold_id, category, retention_class, day, restricts)
SELECT $1, $2, g.category, g.retention_class, g.day, $3
FROM unnest($4::smallint[], $5::smallint[], $6::integer[]) AS g (category, retention_class, day)
WHERE NOT EXISTS (SELECT FROM custody.gone_day d WHERE d.account_id = $1 AND d.category = g.category
                  AND d.retention_class = g.retention_class AND d.day = g.day)
RETURNING day

-- name: classes_of
SELECT retention_class FROM custody.retention_period WHERE account_id = $1 AND category = $2 ORDER BY retention_class

-- name: count_days
UPDATE custody.hold SET days = $3 WHERE account_id = $1 AND hold_id = $2

-- name: find_hold
SELECT account_id, hold_id, kind, reason, reference, until_day, placed_by, placed_at, state, records, days,
       released_by, released_at, released_because
FROM custody.hold WHERE account_id = $1 AND hold_id = $2

-- name: lock_hold
SELECT account_id, hold_id, kind, reason, reference, until_day, placed_by, placed_at, state, records, days,
       released_by, released_at, released_because
FROM custody.hold WHERE account_id = $1 AND hold_id = $2 FOR UPDATE

-- name: page_of_holds
SELECT account_id, hold_id, kind, reason, reference, until_day, placed_by, placed_at, state, records, days,
       released_by, released_at, released_because
FROM custody.hold WHERE account_id = $1 AND ($2::timestamptz IS NULL OR (placed_at, hold_id) < ($2, $3))
ORDER BY placed_at DESC, hold_id DESC LIMIT $4

-- name: places
SELECT category, retention_class, day, slot, record_id FROM custody.held WHERE account_id = $1 AND hold_id = $2
ORDER BY category, retention_class, day, slot

-- name: drop_places
DELETE FROM custody.held h USING unnest($3::smallint[], $4::smallint[], $5::integer[], $6::integer[])
     AS g (category, retention_class, day, slot)
WHERE h.account_id = $1 AND h.hold_id = $2 AND h.category = g.category AND h.retention_class = g.retention_class
  AND h.day = g.day AND h.slot IS NOT DISTINCT FROM g.slot

-- name: mark_in_force
UPDATE custody.hold o SET state = 'in-force',
    records = (SELECT count(*) FROM custody.held h WHERE h.account_id = $1 AND h.hold_id = $2 AND h.slot IS NOT NULL),
    days = (SELECT count(*) FROM custody.held h WHERE h.account_id = $1 AND h.hold_id = $2 AND h.slot IS NULL)
WHERE o.account_id = $1 AND o.hold_id = $2 AND o.state = 'placing' RETURNING o.records, o.days

-- name: mark_extended
UPDATE custody.hold SET until_day = $3, state = 'placing' WHERE account_id = $1 AND hold_id = $2 AND state = 'in-force'

-- name: mark_releasing
UPDATE custody.hold SET state = 'releasing', released_by = $3, released_at = $4, released_because = $5
WHERE account_id = $1 AND hold_id = $2 AND state IN ('placing', 'in-force') RETURNING hold_id

-- name: mark_released
UPDATE custody.hold SET state = 'released' WHERE account_id = $1 AND hold_id = $2 AND state = 'releasing' RETURNING hold_id

-- name: to_move
SELECT account_id, hold_id, state FROM custody.hold
WHERE state IN ('placing', 'releasing') OR (state = 'in-force' AND until_day < $1)
ORDER BY placed_at LIMIT $2

-- name: release_places
DELETE FROM custody.held WHERE account_id = $1 AND hold_id = $2
RETURNING category, retention_class, day, slot, record_id

-- name: is_being_placed
SELECT hold_id FROM custody.hold WHERE account_id = $1 AND state = 'placing' LIMIT 1

-- name: holds_on_records
SELECT DISTINCT hold_id, record_id FROM custody.held WHERE account_id = $1 AND record_id = ANY($2)

-- name: holds_on_days
SELECT DISTINCT h.hold_id, h.category, h.retention_class, h.day FROM custody.held h
JOIN unnest($2::smallint[], $3::smallint[], $4::integer[]) AS g (category, retention_class, day)
  USING (category, retention_class, day)
WHERE h.account_id = $1 AND h.record_id IS NULL

-- name: left_of_gone_days
SELECT DISTINCT h.category, h.record_id FROM custody.held h JOIN custody.gone_day d
  USING (account_id, category, retention_class, day)
WHERE h.account_id = $1 AND h.record_id IS NOT NULL ORDER BY h.category, h.record_id

-- name: is_closed
SELECT EXISTS (SELECT FROM governance.account WHERE account_id = $1 AND closed_at IS NOT NULL)

-- name: counts_in_force
SELECT count(*) AS holds, coalesce(sum(records), 0)::bigint AS records, coalesce(sum(days), 0)::bigint AS days
FROM custody.hold WHERE account_id = $1 AND state <> 'released'

-- name: wake_holds
SELECT pg_notify('sealwire_holds', '')
