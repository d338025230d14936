-- name: fill_index
INSERT INTO custody.blind_index (account_id, record_id, day, category, retention_class, bucket, token)
SELECT $1::uuid, r.record_id, $2::integer, 1, 0, custody.index_bucket($1::uuid, $2::integer),
       substr(uuid_send(gen_random_uuid()), 1, 8)
FROM (SELECT gen_random_uuid() AS record_id FROM generate_series(1, $3::integer)) AS r, generate_series(1, 2)

-- name: analyse_index
ANALYZE custody.blind_index

-- name: note_days_of_all
INSERT INTO custody.day_in_use (account_id, category, retention_class, day)
SELECT $1, p.category, 0, d FROM unnest($2::smallint[]) AS p (category), unnest($3::integer[]) AS d ON CONFLICT DO NOTHING

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
