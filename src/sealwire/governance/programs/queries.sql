-- name: insert_program
INSERT INTO governance.program (account_id, program_id, label, created_at) VALUES ($1, $2, $3, $4)

-- name: insert_program_certificate
INSERT INTO governance.program_certificate (account_id, program_id, fingerprint, certificate, issued_at, valid_until)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: find_program
SELECT p.program_id, p.label, p.created_at, p.revoked_at, c.certificate, c.valid_until
FROM governance.program p
CROSS JOIN LATERAL (
    SELECT certificate, valid_until FROM governance.program_certificate
    WHERE account_id = p.account_id AND program_id = p.program_id ORDER BY issued_at DESC LIMIT 1
) c
WHERE p.account_id = $1 AND p.program_id = $2

-- name: list_programs
SELECT p.program_id, p.label, p.created_at, p.revoked_at, c.certificate, c.valid_until
FROM governance.program p
CROSS JOIN LATERAL (
    SELECT certificate, valid_until FROM governance.program_certificate
    WHERE account_id = p.account_id AND program_id = p.program_id ORDER BY issued_at DESC LIMIT 1
) c
WHERE p.account_id = $1 AND ($2::timestamptz IS NULL OR (p.created_at, p.program_id) < ($2, $3::uuid))
ORDER BY p.created_at DESC, p.program_id DESC LIMIT $4

-- name: revoke_program
UPDATE governance.program SET revoked_at = $3 WHERE account_id = $1 AND program_id = $2 AND revoked_at IS NULL
RETURNING program_id

-- name: programs_in_force
SELECT fingerprint, account_id, program_id FROM governance.programs_in_force($1)
