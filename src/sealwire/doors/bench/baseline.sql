-- name: prepare
CREATE SCHEMA IF NOT EXISTS bench;
CREATE TABLE bench.call_record (LIKE custody.call_record INCLUDING ALL);
CREATE TABLE bench.blind_index (LIKE custody.blind_index INCLUDING ALL) PARTITION BY LIST (bucket);
DO $$
BEGIN
    FOR bucket IN 0..127 LOOP
        EXECUTE format('CREATE UNLOGGED TABLE bench.blind_index_%s PARTITION OF bench.blind_index
            FOR VALUES IN (%s)', bucket, bucket);
    END LOOP;
END $$;
CREATE FUNCTION bench.keep_call_record(
    p_account uuid, p_record uuid, p_class smallint, p_day integer, p_slot integer,
    p_kept_at timestamptz, p_fields bytea, p_commitment bytea, p_numbers bytea[],
    p_call_id uuid, p_direction text, p_started_at timestamptz, p_answered_at timestamptz, p_ended_at timestamptz,
    p_hangup_cause integer
) RETURNS text LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    INSERT INTO bench.call_record (account_id, record_id, retention_class, day, slot, kept_at, sealed, commitment,
        call_id, direction, started_at, answered_at, ended_at, hangup_cause)
    VALUES (p_account, p_record, p_class, p_day, p_slot, p_kept_at, p_fields, p_commitment,
        p_call_id, p_direction, p_started_at, p_answered_at, p_ended_at, p_hangup_cause);
    INSERT INTO bench.blind_index (account_id, record_id, day, category, retention_class, bucket, token)
    SELECT p_account, p_record, p_day, 1, p_class, custody.index_bucket(p_account, p_day), number
    FROM unnest(p_numbers) AS number ON CONFLICT DO NOTHING;
    RETURN 'kept';
END $$;
GRANT USAGE ON SCHEMA bench TO sealwire_service;
GRANT SELECT, INSERT ON bench.call_record, bench.blind_index TO sealwire_service;
GRANT EXECUTE ON FUNCTION bench.keep_call_record TO sealwire_service

-- name: keep
SELECT bench.keep_call_record($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

-- name: rows_of_day
SELECT EXISTS (SELECT FROM custody.call_record WHERE day = $1)
