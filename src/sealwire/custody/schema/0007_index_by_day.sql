-- The blind index by day. A token is made with the key of its (category, class, day), so whoever has a token knows where
-- it can stand: a lookup looks into one partition for each token, and into none for nothing. All tokens of a record lie
-- in one partition, and those of a day in few others' company, so a day goes by writing anew what is left beside it.
CREATE SCHEMA custody_old;
DO $$
BEGIN
    FOR remainder IN 0..31 LOOP
        EXECUTE format('ALTER TABLE custody.blind_index_%s SET SCHEMA custody_old', remainder);
    END LOOP;
END $$;
ALTER TABLE custody.blind_index SET SCHEMA custody_old;
DROP FUNCTION custody.rewrite_index_partition;

-- Consecutive days of an account lie in different partitions, the same day of two accounts as a rule too. The same in
-- `custody.index`.
CREATE FUNCTION custody.index_bucket(p_account uuid, p_day integer) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ((get_byte(uuid_send(p_account), 15) + p_day) & 127)::smallint
$$;

CREATE TABLE custody.blind_index (
    account_id uuid NOT NULL,
    record_id uuid NOT NULL,
    day integer NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    bucket smallint NOT NULL,
    token bytea NOT NULL,
    PRIMARY KEY (account_id, bucket, token, record_id)
) PARTITION BY LIST (bucket);
CREATE INDEX blind_index_by_record ON custody.blind_index (account_id, record_id);

DO $$
BEGIN
    FOR bucket IN 0..127 LOOP
        EXECUTE format('CREATE UNLOGGED TABLE custody.blind_index_%s PARTITION OF custody.blind_index
            FOR VALUES IN (%s)', bucket, bucket);
        EXECUTE format('ALTER TABLE custody.blind_index_%s ENABLE ROW LEVEL SECURITY', bucket);
        EXECUTE format('ALTER TABLE custody.blind_index_%s FORCE ROW LEVEL SECURITY', bucket);
    END LOOP;
END $$;
ALTER TABLE custody.blind_index ENABLE ROW LEVEL SECURITY;
ALTER TABLE custody.blind_index FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON custody.blind_index
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT SELECT, INSERT, DELETE ON custody.blind_index TO sealwire_service, sealwire_worker;

-- Tokens that lead to a row move with it; others led nowhere. The tables are those that exist: an older database has
-- its own, a new one has none yet.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'custody' AND c.relkind = 'r' AND (
            SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
            AND a.attname IN ('account_id', 'record_id', 'retention_class', 'day', 'kept_at', 'sealed')) = 6
    LOOP
        EXECUTE format('INSERT INTO custody.blind_index
                (account_id, record_id, day, category, retention_class, bucket, token)
            SELECT o.account_id, o.record_id, r.day, o.category, r.retention_class,
                   custody.index_bucket(o.account_id, r.day), o.token
            FROM custody_old.blind_index o JOIN custody.%I r USING (account_id, record_id)
            ON CONFLICT DO NOTHING', name);
    END LOOP;
END $$;
DROP TABLE custody_old.blind_index;
DROP SCHEMA custody_old;

-- Write a partition anew, in new files, from its living rows. VACUUM FULL will not do: it copies rows that some older
-- snapshot could still see. Whoever holds a row of this partition is waited for, nobody else. Without a day of an
-- account when one is given. Not kept in memory meanwhile: a partition may have millions of rows.
CREATE FUNCTION custody.refill_index_partition(
    partition regclass, p_account uuid, p_category smallint, p_class smallint, p_day integer
) RETURNS void LANGUAGE plpgsql SET search_path = custody, pg_temp SET lock_timeout = '10s' AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits
                   WHERE inhrelid = partition AND inhparent = 'custody.blind_index'::regclass) THEN
        RAISE EXCEPTION 'not a partition of the blind index';
    END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', partition);
    EXECUTE format('CREATE UNLOGGED TABLE custody.living_%s AS SELECT * FROM %s
        WHERE $1 IS NULL OR (account_id, category, retention_class, day) <> ($1, $2, $3, $4)',
        partition::oid, partition) USING p_account, p_category, p_class, p_day;
    EXECUTE format('TRUNCATE %s', partition);
    EXECUTE format('INSERT INTO %s SELECT * FROM custody.living_%s', partition, partition::oid);
    EXECUTE format('DROP TABLE custody.living_%s', partition::oid);
END $$;

CREATE FUNCTION custody.rewrite_index_partition(partition regclass) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = custody, pg_temp AS $$
    SELECT custody.refill_index_partition(partition, NULL, NULL, NULL, NULL)
$$;

-- The tokens of a day that is gone, all at once: what costs is what else lies in its partition.
CREATE FUNCTION custody.remove_index_day(p_account uuid, p_category smallint, p_class smallint, p_day integer)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = custody, pg_temp AS $$
DECLARE
    partition regclass := format('custody.blind_index_%s', custody.index_bucket(p_account, p_day));
    has_any boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM custody.gone_day WHERE account_id = p_account AND category = p_category
                   AND retention_class = p_class AND day = p_day) THEN
        RAISE EXCEPTION 'this day is not gone';
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE account_id = $1 AND category = $2 AND retention_class = $3
        AND day = $4)', partition) INTO has_any USING p_account, p_category, p_class, p_day;
    IF has_any THEN
        PERFORM custody.refill_index_partition(partition, p_account, p_category, p_class, p_day);
    END IF;
END $$;
REVOKE ALL ON FUNCTION custody.index_bucket, custody.refill_index_partition, custody.rewrite_index_partition,
    custody.remove_index_day FROM PUBLIC;
GRANT EXECUTE ON FUNCTION custody.index_bucket TO sealwire_service, sealwire_worker;
GRANT EXECUTE ON FUNCTION custody.rewrite_index_partition, custody.remove_index_day TO sealwire_worker;

-- Tombstones of a day that was removed as a whole: a row for some hundred records, not one for each, which took three
-- times as long as removing them. Which row a record would be in is known from its id; a salted hash each, in the same
-- order.
CREATE TABLE custody.gone_of_day (
    account_id uuid NOT NULL,
    chunk smallint NOT NULL,
    day integer NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    erasure_id uuid NOT NULL,
    records uuid[] NOT NULL,
    commitments bytea NOT NULL,
    PRIMARY KEY (account_id, chunk, day, category, retention_class)
);
CREATE INDEX gone_of_day_by_erasure ON custody.gone_of_day (account_id, erasure_id);
ALTER TABLE custody.gone_of_day ALTER COLUMN records SET STORAGE EXTERNAL; -- neither compresses
ALTER TABLE custody.gone_of_day ALTER COLUMN commitments SET STORAGE EXTERNAL;
ALTER TABLE custody.gone_of_day ENABLE ROW LEVEL SECURITY;
ALTER TABLE custody.gone_of_day FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON custody.gone_of_day
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT SELECT ON custody.gone_of_day TO sealwire_service;
GRANT SELECT, INSERT ON custody.gone_of_day TO sealwire_worker;

CREATE FUNCTION custody.chunk_of(p_record uuid) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (get_byte(uuid_send(p_record), 0) << 4 | get_byte(uuid_send(p_record), 1) >> 4)::smallint
$$;
REVOKE ALL ON FUNCTION custody.chunk_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION custody.chunk_of TO sealwire_service, sealwire_worker;
