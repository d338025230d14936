-- name: message_terms
SELECT communications.message_terms($1, $2, $3)

-- name: class_of_arrival
SELECT communications.message_class($1, $2)

-- name: accept_message
-- Content, record and queue row in one transaction and one round trip; queued only where neither was refused.
SELECT ARRAY[
    kept.content, kept.record,
    CASE WHEN split_part(kept.content, ' ', 1) IN ('kept', 'never') AND split_part(kept.record, ' ', 1) IN ('kept', 'never')
         THEN communications.enqueue_message($1, $20, $25, $2, $24::smallint, $22, $26, $27)::text END
] FROM (
    SELECT custody.keep_message_content($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS content,
           custody.keep_message_record(
               $1, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25) AS record
    OFFSET 0
) kept

-- name: accounts_with
SELECT account_id FROM communications.accounts_with_messages($1, $2)

-- name: take_back
UPDATE communications.message SET state = 'accepted', due_at = $2 WHERE account_id = $1 AND state = 'sending'

-- name: claim
UPDATE communications.message m SET state = 'sending'
FROM (
    SELECT message_id FROM communications.message
    WHERE account_id = $1 AND state = 'accepted' AND due_at <= $2
    ORDER BY due_at, message_id LIMIT $3 FOR UPDATE SKIP LOCKED
) due
WHERE m.account_id = $1 AND m.message_id = due.message_id
RETURNING m.message_id, m.contents[1] AS content, m.expires_at, m.attempts,
    ARRAY(SELECT segment FROM communications.message_segment s
          WHERE s.account_id = m.account_id AND s.message_id = m.message_id) AS taken

-- name: put_segments
INSERT INTO communications.message_segment (account_id, message_id, segment, centre_id)
SELECT $1, message_id, segment, centre_id
FROM unnest($2::uuid[], $3::smallint[], $4::text[]) AS t (message_id, segment, centre_id)
ON CONFLICT (account_id, message_id, segment) DO UPDATE SET centre_id = excluded.centre_id

-- name: put_outcomes
UPDATE communications.message m SET
    state = t.state, error = t.error, due_at = t.due_at, attempts = m.attempts + 1,
    sent_at = CASE WHEN t.state = 'sent' THEN $6 ELSE m.sent_at END,
    final_at = CASE WHEN t.state IN ('failed', 'expired') THEN $6 ELSE m.final_at END
FROM unnest($2::uuid[], $3::text[], $4::integer[], $5::timestamptz[]) AS t (message_id, state, error, due_at)
WHERE m.account_id = $1 AND m.message_id = t.message_id AND m.state = 'sending'

-- name: segments_of_receipts
SELECT centre_id, account_id, message_id, segment FROM communications.segments_of_receipts($1)

-- name: hold_messages
SELECT 1 FROM communications.message WHERE account_id = $1 AND message_id = ANY($2) ORDER BY message_id FOR UPDATE

-- name: put_receipts
UPDATE communications.message_segment s SET outcome = t.outcome
FROM unnest($2::uuid[], $3::smallint[], $4::text[]) AS t (message_id, segment, outcome)
WHERE s.account_id = $1 AND s.message_id = t.message_id AND s.segment = t.segment AND s.outcome IS NULL

-- name: end_received
WITH told AS (
    SELECT t.message_id, max(t.error) AS error FROM unnest($2::uuid[], $3::integer[]) AS t (message_id, error)
    GROUP BY t.message_id
), ends AS (
    SELECT s.message_id,
           CASE WHEN bool_or(s.outcome = 'failed') THEN 'failed'
                WHEN bool_or(s.outcome = 'expired') THEN 'expired' ELSE 'delivered' END AS state
    FROM communications.message_segment s JOIN communications.message m USING (account_id, message_id)
    WHERE s.account_id = $1 AND s.message_id IN (SELECT message_id FROM told) AND m.state = 'sent'
    GROUP BY s.message_id
    HAVING bool_or(s.outcome IN ('failed', 'expired')) OR bool_and(s.outcome IS NOT NULL)
), ended AS (
    UPDATE communications.message m SET state = ends.state, final_at = $4,
           error = CASE WHEN ends.state = 'delivered' THEN 0 ELSE told.error END
    FROM ends JOIN told USING (message_id)
    WHERE m.account_id = $1 AND m.message_id = ends.message_id RETURNING m.message_id
)
DELETE FROM communications.message_segment WHERE account_id = $1 AND message_id IN (SELECT message_id FROM ended)

-- name: end_unconfirmed
WITH late AS (
    SELECT message_id FROM communications.message
    WHERE account_id = $1 AND state = 'sent' AND expires_at <= $2 ORDER BY message_id FOR UPDATE
), ended AS (
    UPDATE communications.message m SET state = 'unconfirmed', final_at = $3
    FROM late WHERE m.account_id = $1 AND m.message_id = late.message_id RETURNING m.message_id
)
DELETE FROM communications.message_segment WHERE account_id = $1 AND message_id IN (SELECT message_id FROM ended)

-- name: untold
SELECT message_id, direction, state, error, told, final_at, segments_missing FROM communications.message
WHERE account_id = $1 AND ((told < 2 AND final_at IS NOT NULL) OR (told < 1 AND sent_at IS NOT NULL))
ORDER BY accepted_at LIMIT $2

-- name: is_listened_to
SELECT EXISTS (SELECT FROM communications.webhook_endpoint WHERE account_id = $1 AND state <> 'removed')

-- name: put_told
UPDATE communications.message m SET told = greatest(m.told, t.told)
FROM unnest($2::uuid[], $3::smallint[]) AS t (message_id, told)
WHERE m.account_id = $1 AND m.message_id = t.message_id

-- name: to_redact
SELECT message_id, redaction, contents FROM communications.message
WHERE account_id = $1 AND redaction <> 'keep' AND final_at IS NOT NULL AND redacted_at IS NULL AND reservation IS NULL
ORDER BY final_at LIMIT $2 FOR UPDATE SKIP LOCKED

-- name: put_redacted
UPDATE communications.message SET redacted_at = $3 WHERE account_id = $1 AND message_id = ANY($2)

-- name: unsettled
SELECT m.message_id, m.state, m.reservation, m.segments, m.sent_at, coalesce(m.sent_at, m.final_at) AS ended_at,
    (SELECT count(*) FROM communications.message_segment s
     WHERE s.account_id = m.account_id AND s.message_id = m.message_id) AS taken
FROM communications.message m
WHERE m.account_id = $1 AND m.reservation IS NOT NULL AND m.state NOT IN ('accepted', 'sending') LIMIT $2

-- name: put_settled
UPDATE communications.message SET reservation = NULL WHERE account_id = $1 AND message_id = ANY($2)

-- name: drop_old
DELETE FROM communications.message
WHERE account_id = $1 AND accepted_at < $2 AND state NOT IN ('accepted', 'sending')

-- name: insert_received
INSERT INTO communications.message
    (account_id, message_id, direction, state, redaction, contents, segments, segments_missing, accepted_at,
     expires_at, due_at, final_at)
VALUES ($1, $2, 'in', 'received', 'keep', $3, $4, $5, $6, $6, $6, $6)
ON CONFLICT (account_id, message_id) DO NOTHING

-- name: insert_part
INSERT INTO communications.message_part (account_id, message_id, part, total, reference, record_id, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: waiting_parts
SELECT message_id, part, total, reference, record_id, received_at FROM communications.message_part
WHERE account_id = $1 ORDER BY received_at

-- name: drop_parts
DELETE FROM communications.message_part WHERE account_id = $1 AND message_id = $2

-- name: route_call
SELECT account_id, agreed FROM governance.route_call($1)

-- name: standings
SELECT message_id, state, contents, segments_missing, expires_at, attempts, sent_at, final_at, error, redacted_at
FROM communications.message WHERE account_id = $1 AND message_id = ANY($2)

-- name: insert_sender_name
INSERT INTO communications.sender_name (account_id, name, allowed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: sender_names
SELECT name FROM communications.sender_name WHERE account_id = $1 ORDER BY name

-- name: find_settings
SELECT redaction, stop_words, start_words, help_words, stop_reply, start_reply, help_reply, retention_class
FROM communications.message_settings WHERE account_id = $1

-- name: put_settings
INSERT INTO communications.message_settings
    (account_id, redaction, stop_words, start_words, help_words, stop_reply, start_reply, help_reply, changed_at,
     retention_class)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (account_id) DO UPDATE SET
    redaction = excluded.redaction, stop_words = excluded.stop_words, start_words = excluded.start_words,
    help_words = excluded.help_words, stop_reply = excluded.stop_reply, start_reply = excluded.start_reply,
    help_reply = excluded.help_reply, changed_at = excluded.changed_at, retention_class = excluded.retention_class

-- name: opt_out_version
SELECT coalesce((SELECT version FROM communications.opt_out_change WHERE account_id = $1), 0)

-- name: raise_opt_out_version
INSERT INTO communications.opt_out_change (account_id, version) VALUES ($1, 1)
ON CONFLICT (account_id) DO UPDATE SET version = communications.opt_out_change.version + 1
