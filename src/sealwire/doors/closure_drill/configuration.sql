-- name: trunk
INSERT INTO communications.trunk (account_id, trunk_id, settings, secret, sources, created_at, changed_at)
VALUES ($1, $2, '{"host": "trunk.example"}', '\x00', '{}', $3, $3)

-- name: endpoint
INSERT INTO communications.webhook_endpoint
    (account_id, endpoint_id, address, label, events, state, secret, created_at, changed_at)
VALUES ($1, $2, 'https://hooks.example/x', 'drill', '{}', 'paused', '\x00', $3, $3)

-- name: delivery
INSERT INTO communications.webhook_outbox
    (account_id, delivery_id, endpoint_id, event, reference, announced_at, due_at, claimed_until)
VALUES ($1, $2, $2, 'call.ended', '{}', $3::timestamptz, $3::timestamptz + interval '1 day', $3::timestamptz + interval '1 day')

-- name: recipient
INSERT INTO communications.recipient (account_id, recipient_id, public_key, label, created_at)
VALUES ($1, $2, 'age1' || repeat('q', 58), 'drill', $3)

-- name: message
INSERT INTO communications.message
    (account_id, message_id, direction, state, redaction, contents, segments, accepted_at, expires_at, due_at)
VALUES ($1, $2, 'out', 'accepted', 'keep', '{}', 1, $3::timestamptz, $3::timestamptz + interval '1 day', $3::timestamptz + interval '1 day')

-- name: segment
INSERT INTO communications.message_segment (account_id, message_id, segment, centre_id)
VALUES ($1, $2, 1, 'drill ' || $3::timestamptz::text)

-- name: part
INSERT INTO communications.message_part
    (account_id, message_id, part, total, reference, record_id, received_at)
VALUES ($1, $2, 1, 2, 1, $2, $3)

-- name: words
INSERT INTO communications.message_settings (account_id, redaction, stop_words, start_words, help_words, stop_reply,
    start_reply, help_reply, changed_at) VALUES ($1, 'keep', '{}', '{}', '{}', '', '', $2::uuid::text, $3)

-- name: sender_name
INSERT INTO communications.sender_name (account_id, name, allowed_at) VALUES ($1, left('D' || $2::uuid::text, 11), $3)

-- name: report
INSERT INTO communications.report
    (account_id, report_id, of, format, begins, ends, with_content, credential_id, asked_at, state, ended_at)
VALUES ($1, $2, 'call-record', 'json', $3, $3, false, $2, $3, 'failed', $3)

-- name: program
INSERT INTO governance.program (account_id, program_id, label, created_at) VALUES ($1, $2, 'drill', $3)

-- name: destination
INSERT INTO governance.allowed_destination (account_id, destination, premium, added_at)
VALUES ($1, 'GB', $2::uuid IS NULL, $3)

-- name: idempotency
INSERT INTO governance.idempotency (account_id, credential_id, key_sha256, request_sha256, resource, created_at)
VALUES ($1, $2, '\x00', '\x00', '', $3)

-- name: spending
INSERT INTO governance.spending (account_id, day, month, second, minute, suspended_at)
VALUES ($1, $3::timestamptz::date, $3::timestamptz::date, $3, $3,
        CASE WHEN $2::uuid IS NULL THEN $3::timestamptz END)
