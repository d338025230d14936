-- name: counts_of_tokens
SELECT w.token, c.records -- one probe of one partition for each token; a join was planned as a hash of the whole index
FROM (SELECT token, custody.index_bucket($1, day) AS bucket FROM unnest($2::bytea[], $3::integer[]) AS u (token, day)) w
CROSS JOIN LATERAL (SELECT count(*) AS records FROM custody.blind_index i
                    WHERE i.account_id = $1 AND i.bucket = w.bucket AND i.bucket = ANY($4::smallint[])
                      AND i.token = w.token) c -- the list again, so that only its partitions are planned for
WHERE c.records > 0

-- name: records_of_tokens
SELECT i.category, i.record_id
FROM (SELECT token, custody.index_bucket($1, day) AS bucket FROM unnest($2::bytea[], $3::integer[]) AS u (token, day)) w
CROSS JOIN LATERAL (SELECT category, record_id FROM custody.blind_index i
                    WHERE i.account_id = $1 AND i.bucket = w.bucket AND i.bucket = ANY($4::smallint[])
                      AND i.token = w.token OFFSET 0) i
ORDER BY i.category, i.record_id

-- name: page_of_token
SELECT category, record_id FROM custody.blind_index
WHERE account_id = $1 AND bucket = $5 AND token = $2 AND record_id > $3 ORDER BY record_id LIMIT $4

-- name: looks_at_records
SELECT m.record_id, p.idx, get_byte(l.leaf, 1) AS leaf_class, p.day, p.slot, p.sealed
FROM evidence.mention m
JOIN evidence.payload p ON p.account_id = m.account_id AND p.idx = m.idx
JOIN evidence.leaf_entry l ON l.account_id = m.account_id AND l.idx = m.idx
WHERE m.account_id = $1 AND m.record_id = ANY($2::uuid[]) AND get_byte(l.leaf, 1) = $3 ORDER BY p.idx

-- name: insert_request
INSERT INTO custody.request_state (account_id, request_id, kind, state, asked_by, received_at, due_on)
VALUES ($1, $2, $3, 'received', $4, $5, $6)

-- name: find_request
SELECT request_id, kind, state, asked_by, received_at, due_on, doubted_on, extended_for, refused_for, closed_at,
       answered_at, counts, erasures
FROM custody.request_state WHERE account_id = $1 AND request_id = $2

-- name: lock_request
SELECT request_id, kind, state, asked_by, received_at, due_on, doubted_on, extended_for, refused_for, closed_at,
       answered_at, counts, erasures
FROM custody.request_state WHERE account_id = $1 AND request_id = $2 FOR UPDATE

-- name: page_of_requests
SELECT request_id, kind, state, asked_by, received_at, due_on, doubted_on, extended_for, refused_for, closed_at,
       answered_at, counts, erasures
FROM custody.request_state
WHERE account_id = $1 AND ($2::timestamptz IS NULL OR (received_at, request_id) < ($2, $3))
  AND ($4::date IS NULL OR (closed_at IS NULL AND due_on < $4))
ORDER BY received_at DESC, request_id DESC LIMIT $5

-- name: move_request
UPDATE custody.request_state SET state = $3, due_on = $4, doubted_on = $5, extended_for = $6, refused_for = $7,
       closed_at = $8
WHERE account_id = $1 AND request_id = $2

-- name: note_counts
UPDATE custody.request_state SET counts = $3, answered_at = $4 WHERE account_id = $1 AND request_id = $2

-- name: note_erasure
UPDATE custody.request_state SET erasures = erasures || $3::uuid WHERE account_id = $1 AND request_id = $2

-- name: note_counts_of_erasure
UPDATE custody.erasure SET counts = $3 WHERE account_id = $1 AND erasure_id = $2

-- name: objections
SELECT request_id FROM custody.request_state WHERE account_id = $1 AND kind = 'objection' AND state = 'done'

-- name: states_of_requests
SELECT request_id, kind, state FROM custody.request_state WHERE account_id = $1 AND request_id = ANY($2::uuid[])

-- name: categories_touched
WITH request AS (
    SELECT erasures, ARRAY(SELECT replace(hold, 'hld_', '')::uuid
                           FROM jsonb_array_elements_text(coalesce(counts -> 'holds', '[]')) AS hold) AS holds
    FROM custody.request_state WHERE account_id = $1 AND request_id = $2
)
SELECT g.category FROM custody.gone g, request WHERE g.account_id = $1 AND g.erasure_id = ANY(request.erasures)
UNION SELECT d.category FROM custody.detached d, request WHERE d.account_id = $1 AND d.erasure_id = ANY(request.erasures)
UNION SELECT r.category FROM custody.resealing r, request WHERE r.account_id = $1 AND r.erasure_id = ANY(request.erasures)
UNION SELECT h.category FROM custody.held h, request WHERE h.account_id = $1 AND h.hold_id = ANY(request.holds)
ORDER BY category

-- name: insert_notice
INSERT INTO custody.notice (account_id, request_id, kind, recipient_id, delivery_id, noted_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING

-- name: notices_of
SELECT kind, recipient_id, delivery_id, noted_at FROM custody.notice
WHERE account_id = $1 AND request_id = $2 ORDER BY kind, recipient_id
