-- name: insert_account
INSERT INTO governance.account (account_id, name, object_prefix, log_origin, log_vkey, created_at)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: find_account
SELECT account_id, name, object_prefix, log_origin, log_vkey, created_at, closed_at FROM governance.account WHERE account_id = $1

-- name: insert_agreement
INSERT INTO governance.agreement (account_id, agreement_id, document, document_sha256, annex, accepted_by, accepted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: list_agreements
SELECT agreement_id, document, document_sha256, annex, accepted_by, accepted_at, ended_at
FROM governance.agreement WHERE account_id = $1 ORDER BY accepted_at DESC

-- name: insert_credential
INSERT INTO governance.credential (account_id, credential_id, secret_sha256, label, scopes, default_purpose, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: list_credentials
SELECT credential_id, label, scopes, default_purpose, created_at, revoked_at
FROM governance.credential WHERE account_id = $1 ORDER BY created_at, credential_id

-- name: revoke_credential
UPDATE governance.credential SET revoked_at = $3 WHERE account_id = $1 AND credential_id = $2 AND revoked_at IS NULL
RETURNING credential_id

-- name: find_credential
SELECT account_id, credential_id, scopes, default_purpose FROM governance.find_credential($1)

-- name: route_number
SELECT account_id, service, agreed FROM governance.route_number($1)

-- name: insert_number
INSERT INTO governance.number (account_id, number, service, assigned_at) VALUES ($1, $2, $3, $4)

-- name: list_numbers
SELECT number, service, assigned_at FROM governance.number WHERE account_id = $1 ORDER BY number

-- name: find_idempotent
SELECT request_sha256, resource FROM governance.idempotency
WHERE account_id = $1 AND credential_id = $2 AND key_sha256 = $3

-- name: insert_idempotent
INSERT INTO governance.idempotency (account_id, credential_id, key_sha256, request_sha256, resource, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING resource

-- name: drop_old_idempotent
DELETE FROM governance.idempotency WHERE created_at < $1

-- name: accounts_with_numbers
SELECT account_id FROM governance.accounts_with_numbers()
