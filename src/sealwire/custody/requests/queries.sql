-- name: counts_of_tokens
SELECT token, count(*) AS records FROM custody.blind_index WHERE account_id = $1 AND token = ANY($2::bytea[]) GROUP BY token

-- name: records_of_tokens
SELECT category, record_id FROM custody.blind_index WHERE account_id = $1 AND token = ANY($2::bytea[])
ORDER BY category, record_id

-- name: page_of_token
SELECT category, record_id FROM custody.blind_index
WHERE account_id = $1 AND token = $2 AND record_id > $3 ORDER BY record_id LIMIT $4

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

-- name: objections
SELECT request_id FROM custody.request_state WHERE account_id = $1 AND kind = 'objection' AND state = 'done'

-- name: states_of_requests
SELECT request_id, kind, state FROM custody.request_state WHERE account_id = $1 AND request_id = ANY($2::uuid[])
