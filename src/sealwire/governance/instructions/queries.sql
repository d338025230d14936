-- name: register_key
INSERT INTO governance.instruction_key (account_id, vkey, registered_by, registered_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING

-- name: retire_key
UPDATE governance.instruction_key SET retired_at = $3
WHERE account_id = $1 AND vkey = $2 AND retired_at IS NULL RETURNING vkey

-- name: keys
SELECT vkey, registered_by, registered_at, retired_at FROM governance.instruction_key
WHERE account_id = $1 ORDER BY registered_at, vkey

-- name: insert_instruction
INSERT INTO governance.instruction (account_id, instruction_id, sha256, note, vkey, given_by, given_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING instruction_id

-- name: find_instruction
SELECT instruction_id, sha256, note, vkey, given_by, given_at FROM governance.instruction
WHERE account_id = $1 AND instruction_id = $2

-- name: page_of_instructions
SELECT instruction_id, sha256, note, vkey, given_by, given_at FROM governance.instruction
WHERE account_id = $1 AND ($2::timestamptz IS NULL OR (given_at, instruction_id) < ($2, $3))
ORDER BY given_at DESC, instruction_id DESC LIMIT $4
