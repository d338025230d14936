-- name: post_event
INSERT INTO evidence.event_outbox (account_id, event_id, leaf_class, payload, mentions) VALUES ($1, $2, $3, $4, $5)

-- name: post_kept
INSERT INTO evidence.kept_outbox (account_id, record_id, category, commitment) VALUES ($1, $2, $3, $4)

-- name: events_waiting
SELECT account_id, posted, leaf_class, payload, mentions FROM evidence.event_outbox
WHERE account_id <> ALL($1::uuid[]) ORDER BY posted LIMIT $2

-- name: kept_waiting
SELECT account_id, posted, record_id, commitment FROM evidence.kept_outbox ORDER BY posted LIMIT $1

-- name: quarantine_events
INSERT INTO evidence.quarantine (account_id, posted, leaf_class, payload, mentions)
SELECT o.account_id, o.posted, o.leaf_class, o.payload, o.mentions
FROM evidence.event_outbox o JOIN unnest($1::uuid[], $2::bigint[]) AS t (account_id, posted) USING (account_id, posted)

-- name: take_events
DELETE FROM evidence.event_outbox o USING unnest($1::uuid[], $2::bigint[]) AS t (account_id, posted)
WHERE o.account_id = t.account_id AND o.posted = t.posted

-- name: take_kept
DELETE FROM evidence.kept_outbox o USING unnest($1::uuid[], $2::bigint[]) AS t (account_id, posted)
WHERE o.account_id = t.account_id AND o.posted = t.posted

-- name: open_heads
INSERT INTO evidence.head (account_id, origin, vkey, size, root, frontier)
SELECT account_id, origin, vkey, 0, root, ''::bytea
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) AS t (account_id, origin, vkey, root)

-- name: find_head
SELECT origin, vkey, size, root, signed_size, checkpoint FROM evidence.head WHERE account_id = $1

-- name: heads
SELECT account_id, origin, size, root, frontier, signed_size, checkpoint IS NULL AS unsigned FROM evidence.head
WHERE account_id > $1 ORDER BY account_id LIMIT $2

-- name: heads_to_extend
SELECT account_id, origin, size, root, frontier FROM evidence.head WHERE account_id = ANY($1::uuid[])
ORDER BY account_id FOR UPDATE

-- name: move_heads
UPDATE evidence.head h SET size = t.size, root = t.root, frontier = t.frontier
FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[]) AS t (account_id, size, root, frontier)
WHERE h.account_id = t.account_id

-- name: sign_heads
UPDATE evidence.head h SET signed_size = t.size, checkpoint = t.checkpoint
FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS t (account_id, size, checkpoint)
WHERE h.account_id = t.account_id AND (h.checkpoint IS NULL OR h.signed_size <= t.size)

-- name: insert_leaves
INSERT INTO evidence.leaf_entry (account_id, idx, leaf) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[])

-- name: put_tiles
INSERT INTO evidence.tile (account_id, level, n, hashes)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bytea[])
ON CONFLICT (account_id, level, n) DO UPDATE SET hashes = excluded.hashes

-- name: insert_payloads
INSERT INTO evidence.payload (account_id, idx, day, slot, sealed)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::integer[], $5::bytea[])

-- name: insert_batch
INSERT INTO evidence.kept_batch (account_id, idx, salt, payload, record_ids, commitments) VALUES ($1, $2, $3, $4, $5, $6)

-- name: insert_statements
INSERT INTO evidence.statement (account_id, erasure_id, leaf_class, idx, salt, payload)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bytea[], $6::bytea[])

-- name: insert_mentions
INSERT INTO evidence.mention (account_id, record_id, idx)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) ON CONFLICT DO NOTHING

-- name: tiles
SELECT t.account_id, t.level, t.n, t.hashes
FROM evidence.tile t JOIN unnest($1::uuid[], $2::smallint[], $3::bigint[]) AS w (account_id, level, n)
    USING (account_id, level, n)

-- name: leaves_between
SELECT l.account_id, l.idx, l.leaf
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS w (account_id, from_idx, to_idx)
JOIN evidence.leaf_entry l ON l.account_id = w.account_id AND l.idx >= w.from_idx AND l.idx < w.to_idx
ORDER BY l.account_id, l.idx

-- name: leaves
SELECT leaf FROM evidence.leaf_entry WHERE account_id = $1 AND idx >= $2 AND idx < $3 ORDER BY idx

-- name: kept_between
SELECT coalesce(sum(cardinality(record_ids)), 0)::bigint FROM evidence.kept_batch
WHERE account_id = $1 AND idx >= $2 AND idx < $3

-- name: batches_between
SELECT idx, salt, payload, record_ids, commitments FROM evidence.kept_batch
WHERE account_id = $1 AND idx >= $2 AND idx < $3 ORDER BY idx

-- name: take_told
DELETE FROM evidence.kept_outbox o USING unnest($2::uuid[], $3::bytea[]) AS t (record_id, commitment)
WHERE o.account_id = $1 AND o.record_id = t.record_id AND o.commitment = t.commitment

-- name: leaves_at
SELECT idx, leaf FROM evidence.leaf_entry WHERE account_id = $1 AND idx = ANY($2::bigint[])

-- name: payloads_of_record
SELECT p.idx, get_byte(l.leaf, 1) AS leaf_class, p.day, p.slot, p.sealed
FROM evidence.mention m
JOIN evidence.payload p ON p.account_id = m.account_id AND p.idx = m.idx
JOIN evidence.leaf_entry l ON l.account_id = m.account_id AND l.idx = m.idx
WHERE m.account_id = $1 AND m.record_id = $2 ORDER BY p.idx

-- name: batches_of_records
SELECT DISTINCT b.idx, b.salt, b.payload, b.record_ids, b.commitments
FROM evidence.mention m
JOIN evidence.kept_batch b ON b.account_id = m.account_id AND b.idx = m.idx
WHERE m.account_id = $1 AND m.record_id = ANY($2::uuid[]) ORDER BY b.idx

-- name: statements
SELECT leaf_class, idx, salt, payload FROM evidence.statement
WHERE account_id = $1 AND erasure_id = $2 ORDER BY idx

-- name: kept_waiting_by_account
SELECT account_id, count(*) AS records FROM evidence.kept_outbox GROUP BY account_id
