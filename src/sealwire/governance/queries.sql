-- name: insert_account
INSERT INTO governance.account (account_id, name, object_prefix, log_origin, log_vkey, created_at, country)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: find_account
SELECT account_id, name, object_prefix, log_origin, log_vkey, created_at, closed_at, country, closure_id
FROM governance.account WHERE account_id = $1

-- name: insert_agreement
INSERT INTO governance.agreement (account_id, agreement_id, document, document_sha256, annex, accepted_by, accepted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: list_agreements
SELECT agreement_id, document, document_sha256, annex, accepted_by, accepted_at, ended_at
FROM governance.agreement WHERE account_id = $1 ORDER BY accepted_at DESC

-- name: insert_credential
INSERT INTO governance.credential
    (account_id, credential_id, secret_sha256, label, scopes, default_purpose, created_at, allowed_from)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text[]::cidr[])

-- name: list_credentials
SELECT c.credential_id, c.label, c.scopes, c.default_purpose, c.created_at, c.revoked_at,
       c.allowed_from::text[] AS allowed_from,
       (SELECT max(s.created_at) FROM governance.credential_secret s
        WHERE s.account_id = c.account_id AND s.credential_id = c.credential_id) AS rotated_at,
       greatest(c.secret_until, (SELECT max(s.secret_until) FROM governance.credential_secret s
        WHERE s.account_id = c.account_id AND s.credential_id = c.credential_id)) AS old_secret_until
FROM governance.credential c WHERE c.account_id = $1 ORDER BY c.created_at, c.credential_id

-- name: bind_credential
UPDATE governance.credential SET allowed_from = $3::text[]::cidr[]
WHERE account_id = $1 AND credential_id = $2 AND revoked_at IS NULL RETURNING credential_id

-- name: end_first_secret
UPDATE governance.credential SET secret_until = CASE WHEN secret_until IS NULL THEN $3 ELSE least(secret_until, $4) END
WHERE account_id = $1 AND credential_id = $2 AND revoked_at IS NULL RETURNING secret_until

-- name: end_older_secrets
UPDATE governance.credential_secret SET secret_until = CASE WHEN secret_until IS NULL THEN $3 ELSE least(secret_until, $4) END
WHERE account_id = $1 AND credential_id = $2

-- name: insert_secret
INSERT INTO governance.credential_secret (account_id, credential_id, secret_sha256, created_at) VALUES ($1, $2, $3, $4)

-- name: revoke_credential
UPDATE governance.credential SET revoked_at = $3 WHERE account_id = $1 AND credential_id = $2 AND revoked_at IS NULL
RETURNING credential_id

-- name: find_credential
SELECT ROW(account_id, credential_id, scopes, default_purpose, in_place, closed_at, closure_id)
FROM governance.find_credential($1, $2, $3)

-- name: route_call
SELECT ROW(account_id, service_id, agreed) FROM governance.route_call($1)

-- name: service_of
SELECT governance.service_of($1, $2)

-- name: insert_number
INSERT INTO governance.number (account_id, number_id, number, service_id, caller_only, assigned_at)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: list_numbers
SELECT n.number_id, n.number, n.service_id, n.caller_only, n.assigned_at, s.name, s.logic
FROM governance.number n LEFT JOIN governance.service s USING (account_id, service_id)
WHERE n.account_id = $1 ORDER BY n.number

-- name: point_number
UPDATE governance.number SET service_id = $3 WHERE account_id = $1 AND number_id = $2 RETURNING number_id

-- name: remove_number
DELETE FROM governance.number WHERE account_id = $1 AND number_id = $2 RETURNING number_id

-- name: numbers_shown
SELECT number FROM governance.number WHERE account_id = $1 ORDER BY caller_only, assigned_at, number

-- name: insert_service
INSERT INTO governance.service
    (account_id, service_id, name, direction, logic, recording, seconds_max, early_media, page_secret, created_at,
     changed_at, retention_class)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)

-- name: find_service
SELECT service_id, name, direction, logic, recording, seconds_max, early_media, retention_class, created_at, changed_at,
       page_secret IS NOT NULL AS is_signed, page_secret_before_until
FROM governance.service WHERE account_id = $1 AND service_id = $2

-- name: list_services
SELECT service_id, name, direction, logic, recording, seconds_max, early_media, retention_class, created_at, changed_at,
       page_secret IS NOT NULL AS is_signed, page_secret_before_until
FROM governance.service
WHERE account_id = $1 AND ($2::timestamptz IS NULL OR (created_at, service_id) < ($2, $3))
ORDER BY created_at DESC, service_id DESC LIMIT $4

-- name: is_class_named
SELECT EXISTS (SELECT FROM governance.retention_class WHERE account_id = $1 AND retention_class = $2)

-- name: find_built_in
SELECT service_id FROM governance.service
WHERE account_id = $1 AND logic = jsonb_build_object('kind', 'built-in', 'name', $2::text) AND direction <> 'outbound'
ORDER BY created_at, service_id LIMIT 1

-- name: change_service
UPDATE governance.service SET name = $3, direction = $4, logic = $5, recording = $6, seconds_max = $7, early_media = $8,
    page_secret = coalesce(page_secret, $9), changed_at = $10, retention_class = $11
WHERE account_id = $1 AND service_id = $2

-- name: remove_service
DELETE FROM governance.service WHERE account_id = $1 AND service_id = $2 RETURNING service_id

-- name: page_secrets
SELECT page_secret, page_secret_before, page_secret_before_until
FROM governance.service WHERE account_id = $1 AND service_id = $2

-- name: rotate_page_secret
UPDATE governance.service
SET page_secret_before = page_secret, page_secret_before_until = $4, page_secret = $3, changed_at = $5
WHERE account_id = $1 AND service_id = $2 AND page_secret IS NOT NULL RETURNING service_id

-- name: find_idempotent
SELECT request_sha256, resource FROM governance.idempotency
WHERE account_id = $1 AND credential_id = $2 AND key_sha256 = $3

-- name: insert_idempotent
INSERT INTO governance.idempotency (account_id, credential_id, key_sha256, request_sha256, resource, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING resource

-- name: settle_idempotent
UPDATE governance.idempotency SET resource = $4 WHERE account_id = $1 AND credential_id = $2 AND key_sha256 = $3

-- name: drop_old_idempotent
DELETE FROM governance.idempotency WHERE created_at < $1

-- name: accounts_with_numbers
SELECT account_id FROM governance.accounts_with_numbers()
