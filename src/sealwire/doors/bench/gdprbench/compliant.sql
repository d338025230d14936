-- name: create
INSERT INTO bench.compliant (key, pur, ttl, usr, obj, dec, acl, shr, src, cat, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: read
SELECT key, pur, ttl, obj, dec, acl, shr, src, cat, usr, data FROM bench.compliant WHERE key = $1

-- name: update
UPDATE bench.compliant SET data = $2 WHERE key = $1

-- name: erase
DELETE FROM bench.compliant WHERE key = $1

-- name: read_by_purpose
SELECT key, pur, ttl, obj, dec, acl, shr, src, cat FROM bench.compliant WHERE pur = $1

-- name: read_by_user
SELECT key, pur, ttl, obj, dec, acl, shr, src, cat FROM bench.compliant WHERE usr = $1

-- name: update_by_purpose
UPDATE bench.compliant SET ttl = CASE WHEN $2::text = 'ttl' THEN $3::integer ELSE ttl END,
    obj = CASE WHEN $2 = 'obj' THEN $3 ELSE obj END, dec = CASE WHEN $2 = 'dec' THEN $3 ELSE dec END,
    acl = CASE WHEN $2 = 'acl' THEN $3 ELSE acl END, shr = CASE WHEN $2 = 'shr' THEN $3 ELSE shr END,
    src = CASE WHEN $2 = 'src' THEN $3 ELSE src END, cat = CASE WHEN $2 = 'cat' THEN $3 ELSE cat END
WHERE key = ANY(ARRAY(SELECT key FROM bench.compliant WHERE pur = $1 ORDER BY key FOR UPDATE))

-- name: update_by_user
UPDATE bench.compliant SET ttl = CASE WHEN $2::text = 'ttl' THEN $3::integer ELSE ttl END,
    obj = CASE WHEN $2 = 'obj' THEN $3 ELSE obj END, dec = CASE WHEN $2 = 'dec' THEN $3 ELSE dec END,
    acl = CASE WHEN $2 = 'acl' THEN $3 ELSE acl END, shr = CASE WHEN $2 = 'shr' THEN $3 ELSE shr END,
    src = CASE WHEN $2 = 'src' THEN $3 ELSE src END, cat = CASE WHEN $2 = 'cat' THEN $3 ELSE cat END
WHERE key = ANY(ARRAY(SELECT key FROM bench.compliant WHERE usr = $1 ORDER BY key FOR UPDATE))

-- name: note
INSERT INTO bench.audit (at, who, what, subject) VALUES ($1, $2, $3, $4)

-- name: read_log
SELECT at, who, what FROM bench.audit WHERE subject = $1 AND what = 'read' ORDER BY id DESC LIMIT 200

-- name: verify
SELECT NOT EXISTS (SELECT FROM bench.compliant WHERE key = $1)
    AND EXISTS (SELECT FROM bench.audit WHERE subject = $1 AND what = 'delete')
