-- name: note_day
INSERT INTO custody.day_in_use (account_id, category, retention_class, day) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING

-- name: days_in_use
SELECT category, retention_class, day FROM custody.day_in_use u WHERE account_id = $1
  AND NOT EXISTS (SELECT FROM custody.gone_day d WHERE d.account_id = u.account_id AND d.category = u.category
                  AND d.retention_class = u.retention_class AND d.day = u.day)
ORDER BY category, retention_class, day

-- name: begin_of_media
SELECT a.object_prefix, (SELECT p.days FROM custody.retention_period p
    WHERE p.account_id = $1 AND p.category = $2 AND p.retention_class = $3) AS days
FROM governance.account a WHERE a.account_id = $1

-- name: index_is_whole
SELECT EXISTS (SELECT FROM custody.blind_index_whole)

-- name: begin_rebuild
WITH old AS (DELETE FROM custody.blind_index_rebuilding)
INSERT INTO custody.blind_index_rebuilding (rebuild_id) VALUES ($1)

-- name: declare_index_whole
WITH mine AS (DELETE FROM custody.blind_index_rebuilding WHERE rebuild_id = $2 RETURNING rebuild_id)
INSERT INTO custody.blind_index_whole (since) SELECT $1 FROM mine RETURNING since

-- name: wait_for_keeps
SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 7))

-- name: hold_off_erasure
SELECT pg_advisory_xact_lock_shared(hashtextextended($1::uuid::text, 7))

-- name: insert_tokens
INSERT INTO custody.blind_index (account_id, record_id, day, category, retention_class, bucket, token)
SELECT $1, record_id, day, $2, retention_class, custody.index_bucket($1, day), token
FROM unnest($3::uuid[], $4::bytea[], $5::integer[], $6::smallint[]) AS given (record_id, token, day, retention_class)
WHERE NOT EXISTS (SELECT FROM custody.gone g WHERE g.account_id = $1 AND g.record_id = given.record_id)
  AND NOT EXISTS (SELECT FROM custody.gone_day d WHERE d.account_id = $1 AND d.category = $2
                  AND d.retention_class = given.retention_class AND d.day = given.day)
ON CONFLICT DO NOTHING

-- name: remove_tokens
DELETE FROM custody.blind_index WHERE account_id = $1 AND record_id = ANY($2)
  AND ($3::smallint[] IS NULL OR bucket = ANY($3)) -- null: in whatever partition, at 128 looks for each record
RETURNING tableoid::regclass::text AS partition

-- name: accounts
SELECT account_id FROM governance.account ORDER BY account_id -- closed ones too: their invoices go on their own day

-- name: gone
SELECT erasure_id FROM custody.gone WHERE account_id = $1 AND record_id = ANY($2)
UNION ALL SELECT erasure_id FROM custody.gone WHERE account_id = $1 AND call_id = ANY($2) AND category = ANY($3) -- a call never kept
LIMIT 1

-- name: gone_with_its_day
SELECT d.erasure_id FROM unnest($2::uuid[]) AS w (record_id)
JOIN custody.gone_of_day d ON d.account_id = $1 AND d.chunk = custody.chunk_of(w.record_id)
  AND w.record_id = ANY(d.records)
WHERE EXISTS (SELECT FROM evidence.mention m WHERE m.account_id = $1 AND m.record_id = w.record_id) -- or never kept
LIMIT 1

-- name: insert_erasure
INSERT INTO custody.erasure (account_id, erasure_id, ground, requested_by, requested_at, state, gone_from_backups_by)
VALUES ($1, $2, $3, $4, $5, 'hidden', $6)

-- name: gone_of_call
SELECT erasure_id FROM custody.gone WHERE account_id = $1 AND call_id = $2 LIMIT 1

-- name: insert_gone
INSERT INTO custody.gone (account_id, record_id, erasure_id, category, retention_class, day, slot, commitment, call_id)
SELECT $1, g.record_id, $2, g.category, g.retention_class, g.day, g.slot, g.commitment, g.call_id
FROM unnest($3::uuid[], $4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::bytea[], $9::uuid[])
     AS g (record_id, category, retention_class, day, slot, commitment, call_id)
WHERE NOT EXISTS (SELECT FROM custody.held h WHERE h.account_id = $1 AND h.record_id = g.record_id) -- what is held stays
  AND NOT EXISTS (SELECT FROM custody.held h WHERE h.account_id = $1 AND h.record_id IS NULL AND h.category = g.category
                  AND h.retention_class = g.retention_class AND h.day = g.day)
ON CONFLICT DO NOTHING RETURNING record_id

-- name: insert_detached
INSERT INTO custody.detached (account_id, record_id, erasure_id, category, retention_class, day, slot, commitment)
SELECT $1, d.record_id, $2, $3, d.retention_class, d.day, d.slot, d.commitment
FROM unnest($4::uuid[], $5::smallint[], $6::integer[], $7::integer[], $8::bytea[])
     AS d (record_id, retention_class, day, slot, commitment)
WHERE NOT EXISTS (SELECT FROM custody.held h WHERE h.account_id = $1 AND h.record_id = d.record_id)
  AND NOT EXISTS (SELECT FROM custody.held h WHERE h.account_id = $1 AND h.record_id IS NULL AND h.category = $3
                  AND h.retention_class = d.retention_class AND h.day = d.day)
ON CONFLICT DO NOTHING RETURNING record_id

-- name: insert_gone_of_calls
WITH passed AS (
    DELETE FROM custody.passed WHERE account_id = $1 AND call_id = ANY($3)
    RETURNING record_id, category, retention_class, day, slot, commitment, call_id, NULL::text AS object_name
), begun AS (
    DELETE FROM custody.media_begun WHERE account_id = $1 AND call_id = ANY($3)
    RETURNING record_id, category, retention_class, day, slot, NULL::bytea AS commitment, call_id, object_name
) INSERT INTO custody.gone
    (account_id, record_id, erasure_id, category, retention_class, day, slot, commitment, call_id, object_name)
SELECT $1, record_id, $2, category, retention_class, day, slot, commitment, call_id, object_name
FROM (SELECT * FROM passed UNION ALL SELECT * FROM begun) AS of_calls
ON CONFLICT DO NOTHING RETURNING record_id

-- name: begin_media
INSERT INTO custody.media_begun
    (account_id, record_id, category, retention_class, day, slot, object_name, call_id, begun_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: begun_media
SELECT record_id, object_name FROM custody.media_begun WHERE account_id = $1 AND category = $2

-- name: left_over_media
SELECT m.record_id, m.object_name FROM custody.media_begun m LEFT JOIN custody.retention_period p
  USING (account_id, category, retention_class)
WHERE m.account_id = $1 AND (m.day + p.days < $2 OR (m.category = $3 AND m.begun_at < $4))

-- name: pass_begun_media
WITH begun AS (
    DELETE FROM custody.media_begun WHERE account_id = $1 AND record_id = ANY($2)
    RETURNING record_id, category, retention_class, day, slot, call_id
) INSERT INTO custody.passed (account_id, record_id, category, retention_class, day, slot, call_id)
SELECT $1, record_id, category, retention_class, day, slot, call_id FROM begun

-- name: drop_passed
DELETE FROM custody.passed w USING custody.retention_period p
WHERE w.account_id = $1 AND p.account_id = $1 AND p.category = w.category AND p.retention_class = w.retention_class
  AND p.told_days = p.days AND w.day + p.days < $2

-- name: insert_gone_day
INSERT INTO custody.gone_day (account_id, category, retention_class, day, erasure_id) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING day

-- name: wake_worker
SELECT pg_notify('sealwire_erasure', '')

-- name: find_erasure
SELECT account_id, erasure_id, ground, requested_by, requested_at, state, receipts, unreadable_at, removed_at,
       gone_from_backups_by, certificate, counts
FROM custody.erasure WHERE account_id = $1 AND erasure_id = $2

-- name: page_of_erasures
SELECT account_id, erasure_id, ground, requested_by, requested_at, state, receipts, unreadable_at, removed_at,
       gone_from_backups_by, certificate, counts
FROM custody.erasure WHERE account_id = $1 AND ($2::timestamptz IS NULL OR (requested_at, erasure_id) < ($2, $3))
ORDER BY requested_at DESC, erasure_id DESC LIMIT $4

-- name: erasures_in_state
SELECT account_id, erasure_id FROM custody.erasure
WHERE state <> 'removed' AND state = $1 AND erasure_id <> ALL($2) ORDER BY requested_at LIMIT $3

-- name: gone_by_erasure
SELECT record_id, category, retention_class, day, slot, commitment, object_name FROM custody.gone
WHERE account_id = $1 AND erasure_id = $2 ORDER BY record_id

-- name: commitments_of_days
SELECT records, commitments FROM custody.gone_of_day WHERE account_id = $1 AND erasure_id = $2

-- name: detached_by_erasure
SELECT record_id, category, retention_class, day, slot, commitment, NULL AS object_name FROM custody.detached
WHERE account_id = $1 AND erasure_id = $2 ORDER BY record_id

-- name: resealed_by_erasure
SELECT record_id, category, retention_class, day, slot, commitment, index_partition FROM custody.resealing
WHERE account_id = $1 AND erasure_id = $2 ORDER BY record_id

-- name: insert_resealing
WITH dropped AS (
    DELETE FROM custody.blind_index i
    WHERE i.account_id = $1 AND i.record_id = ANY($4::uuid[]) AND i.bucket = ANY($11::smallint[])
      AND NOT EXISTS (SELECT FROM unnest($9::uuid[], $10::bytea[]) AS stays (record_id, token)
                      WHERE stays.record_id = i.record_id AND stays.token = i.token)
    RETURNING i.record_id, i.tableoid::regclass::text AS index_partition
) INSERT INTO custody.resealing
    (account_id, erasure_id, category, record_id, retention_class, day, slot, commitment, index_partition)
SELECT $1, $2, $3, o.record_id, o.retention_class, o.day, o.slot, o.commitment,
       (SELECT min(d.index_partition) FROM dropped d WHERE d.record_id = o.record_id)
FROM unnest($4::uuid[], $5::smallint[], $6::integer[], $7::integer[], $8::bytea[])
     AS o (record_id, retention_class, day, slot, commitment)

-- name: keep_anew
INSERT INTO evidence.kept_outbox (account_id, record_id, category, commitment)
SELECT $1, n.record_id, $2, n.commitment FROM unnest($3::uuid[], $4::bytea[]) AS n (record_id, commitment)

-- name: detached_with
SELECT erasure_id FROM custody.detached WHERE account_id = $1 AND record_id = $2

-- name: gone_days_by_erasure
SELECT category, retention_class, day FROM custody.gone_day WHERE account_id = $1 AND erasure_id = $2

-- name: save_receipts
UPDATE custody.erasure SET receipts = $3 WHERE account_id = $1 AND erasure_id = $2

-- name: mark_unreadable
UPDATE custody.erasure SET state = 'unreadable', unreadable_at = $3, certificate = $4
WHERE account_id = $1 AND erasure_id = $2 AND state = 'hidden'

-- name: mark_removed
UPDATE custody.erasure SET state = 'removed', removed_at = $3, certificate = $4
WHERE account_id = $1 AND erasure_id = $2 AND state = 'unreadable'

-- name: drop_day_in_use
DELETE FROM custody.day_in_use WHERE account_id = $1 AND category = $2 AND retention_class = $3 AND day = $4

-- name: remove_index_day
SELECT custody.remove_index_day($1, $2, $3, $4)

-- name: sort_in_memory
SELECT set_config('work_mem', '256MB', true)

-- name: rewrite_index_partition
SELECT custody.rewrite_index_partition($1::text::regclass)

-- name: transaction_id
SELECT pg_current_xact_id()::text

-- name: is_past
SELECT custody.is_past($1::text::xid8)

-- name: wal_file_now
SELECT pg_walfile_name(pg_current_wal_insert_lsn())

-- name: wal_is_retired
SELECT NOT EXISTS (SELECT FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' AND name <= $1)

-- name: switch_wal
SELECT pg_switch_wal()
