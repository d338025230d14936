-- name: insert_report
INSERT INTO communications.report
    (account_id, report_id, of, format, begins, ends, with_content, purpose, credential_id, asked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: find_report
SELECT report_id, of, format, begins, ends, with_content, purpose, credential_id, asked_at, state, attempts, rows_in_all,
       rows_written, failure, record_id, ended_at, expires_on
FROM communications.report WHERE account_id = $1 AND report_id = $2

-- name: page_of_reports
SELECT report_id, of, format, begins, ends, with_content, purpose, credential_id, asked_at, state, attempts, rows_in_all,
       rows_written, failure, record_id, ended_at, expires_on
FROM communications.report WHERE account_id = $1 AND ($2::timestamptz IS NULL OR (asked_at, report_id) < ($2, $3))
ORDER BY asked_at DESC, report_id DESC LIMIT $4

-- name: unfinished
SELECT count(*) FROM communications.report WHERE account_id = $1 AND state IN ('queued', 'running')

-- name: reports_to_make
SELECT account_id, report_id FROM communications.reports_to_make()

-- name: wake_maker
SELECT pg_notify('sealwire_reports', '')

-- name: begin_report
UPDATE communications.report SET state = 'running', attempts = attempts + 1, rows_in_all = $3, rows_written = 0
WHERE account_id = $1 AND report_id = $2 AND state IN ('queued', 'running')

-- name: put_back
UPDATE communications.report SET state = 'queued', attempts = attempts - 1
WHERE account_id = $1 AND report_id = $2 AND state = 'running'

-- name: note_progress
UPDATE communications.report SET rows_written = $3 WHERE account_id = $1 AND report_id = $2

-- name: finish_report
UPDATE communications.report SET state = 'ready', rows_written = $3, record_id = $4, ended_at = $5, expires_on = $6
WHERE account_id = $1 AND report_id = $2

-- name: fail_report
UPDATE communications.report SET state = 'failed', failure = $3, ended_at = $4 WHERE account_id = $1 AND report_id = $2

-- name: erased_since
SELECT EXISTS (SELECT FROM custody.erasure WHERE account_id = $1 AND requested_at >= $2 AND ground <> 'retention'
               AND requested_by <> 'reports')

-- name: credential_is_revoked
SELECT revoked_at IS NOT NULL FROM governance.credential WHERE account_id = $1 AND credential_id = $2

-- name: drop_old_reports
DELETE FROM communications.report WHERE ended_at < $1
