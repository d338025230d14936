-- name: fill_index
INSERT INTO custody.blind_index (account_id, record_id, day, category, retention_class, bucket, token)
SELECT $1::uuid, r.record_id, $2::integer, 1, 0, custody.index_bucket($1::uuid, $2::integer),
       substr(uuid_send(gen_random_uuid()), 1, 8)
FROM (SELECT gen_random_uuid() AS record_id FROM generate_series(1, $3::integer)) AS r, generate_series(1, 2)

-- name: analyse_index
ANALYZE custody.blind_index

-- name: fill_rows
WITH rows AS (
    INSERT INTO custody.call_record (account_id, record_id, retention_class, day, slot, kept_at, sealed, commitment,
        call_id, direction, started_at, answered_at, ended_at, hangup_cause)
    SELECT $1::uuid, i.id, 0, $2::integer, i.n, 'epoch'::timestamptz + $2::integer * interval '1 day',
        sha256(i.n::text::bytea) || sha256(i.id::text::bytea) || sha256(i.n::text::bytea), sha256(i.id::text::bytea),
        i.id, 'inbound', 'epoch'::timestamptz + $2::integer * interval '1 day', NULL,
        'epoch'::timestamptz + $2::integer * interval '1 day' + i.n * interval '1 ms', 16
    FROM (SELECT gen_random_uuid() AS id, n FROM (
        SELECT CASE WHEN min(slot) < $3::integer THEN max(slot) + 1 ELSE 0 END AS first -- beside what is kept for real
        FROM custody.call_record WHERE account_id = $1::uuid AND retention_class = 0 AND day = $2::integer
    ) AS free, generate_series(free.first, free.first + $3::integer - 1) AS n) AS i
    RETURNING record_id
) INSERT INTO custody.blind_index (account_id, record_id, day, category, retention_class, bucket, token)
SELECT $1::uuid, r.record_id, $2::integer, 1, 0, custody.index_bucket($1::uuid, $2::integer),
       substr(uuid_send(gen_random_uuid()), 1, 8) FROM rows AS r, generate_series(1, 2)

-- name: analyse_rows
ANALYZE custody.call_record

-- name: note_day
INSERT INTO custody.day_in_use (account_id, category, retention_class, day) VALUES ($1, 1, 0, $2) ON CONFLICT DO NOTHING

-- name: note_days_of_all
INSERT INTO custody.day_in_use (account_id, category, retention_class, day)
SELECT $1, p.category, 0, d FROM unnest($2::smallint[]) AS p (category), unnest($3::integer[]) AS d ON CONFLICT DO NOTHING

-- name: plain_rows
CREATE SCHEMA IF NOT EXISTS bench;
DROP TABLE IF EXISTS bench.plain_call;
CREATE TABLE bench.plain_call (call_id uuid PRIMARY KEY, day integer NOT NULL, content bytea NOT NULL);
CREATE INDEX plain_call_by_day ON bench.plain_call (day)

-- name: fill_plain_rows
INSERT INTO bench.plain_call SELECT gen_random_uuid(), 1, sha256(n::text::bytea) || sha256((-n)::text::bytea)
FROM generate_series(1, $1::integer) AS n

-- name: delete_plain_rows
DELETE FROM bench.plain_call WHERE day = 1

-- name: plain_index
CREATE SCHEMA IF NOT EXISTS bench;
CREATE UNLOGGED TABLE bench.plain_index (number text NOT NULL, record_id uuid NOT NULL)

-- name: fill_plain_index
INSERT INTO bench.plain_index
SELECT '+4416329' || lpad((random() * 9999999)::integer::text, 7, '0'), gen_random_uuid() FROM generate_series(1, $1::integer)

-- name: index_plain_index
CREATE INDEX plain_index_by_number ON bench.plain_index (number)

-- name: some_numbers
SELECT number FROM bench.plain_index LIMIT 100

-- name: find_plain
SELECT record_id FROM bench.plain_index WHERE number = $1 LIMIT 500

-- name: wal_bytes
SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint
