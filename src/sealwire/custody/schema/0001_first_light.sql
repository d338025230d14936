-- What custody needs beside the records themselves; record tables are derived from the categories (storage.py).
CREATE SCHEMA custody;
GRANT USAGE ON SCHEMA custody TO sealwire_service, sealwire_sequencer, sealwire_worker;

-- Which (category, class, day) an account has records in: a lookup by number needs one token for each.
CREATE TABLE custody.day_in_use (
    account_id uuid NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    PRIMARY KEY (account_id, category, retention_class, day)
);

-- Erasure is a workflow of days (removed, gone from backups), so it is a row that moves with what it does.
CREATE TABLE custody.erasure (
    account_id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    ground text NOT NULL CHECK (ground IN ('subject-request', 'retention', 'instruction')),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('hidden', 'unreadable', 'removed')),
    receipts jsonb NOT NULL DEFAULT '[]',
    unreadable_at timestamptz,
    removed_at timestamptz,
    gone_from_backups_by date NOT NULL,
    certificate text,
    PRIMARY KEY (account_id, erasure_id)
);
CREATE INDEX erasure_unfinished ON custody.erasure (requested_at) WHERE state <> 'removed';

-- One record each. Stays after the ciphertext is removed: the API answers 410 and the certificate's address.
CREATE TABLE custody.gone (
    account_id uuid NOT NULL,
    record_id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    slot integer NOT NULL,
    commitment bytea,
    call_id uuid,
    object_name text,
    PRIMARY KEY (account_id, record_id)
);
CREATE INDEX gone_by_erasure ON custody.gone (account_id, erasure_id);
CREATE INDEX gone_by_call ON custody.gone (account_id, call_id) WHERE call_id IS NOT NULL;

-- Where the keys of records are that were let go before they were due (a live call that has ended): the row is gone,
-- the key lives until its short day dies, and an erasure of the same call destroys it at once.
CREATE TABLE custody.passed (
    account_id uuid NOT NULL,
    record_id uuid NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    slot integer NOT NULL,
    due_day integer NOT NULL,
    commitment bytea,
    call_id uuid,
    PRIMARY KEY (account_id, record_id)
);
CREATE INDEX passed_by_call ON custody.passed (account_id, call_id);

-- Audio that is being spoken: from here until its record is kept, this row says where its ciphertext and key are.
CREATE TABLE custody.media_begun (
    account_id uuid NOT NULL,
    record_id uuid NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    slot integer NOT NULL,
    due_day integer NOT NULL,
    object_name text NOT NULL,
    call_id uuid,
    begun_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, record_id)
);
CREATE INDEX media_begun_by_call ON custody.media_begun (account_id, call_id);

-- A whole day at once: one row hides whatever lies below it.
CREATE TABLE custody.gone_day (
    account_id uuid NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    erasure_id uuid NOT NULL,
    PRIMARY KEY (account_id, category, retention_class, day)
);

-- Blind index (lookup by number). UNLOGGED, so that no WAL and no backup holds a token; rebuilt after a crash.
-- Hash partitions keep the rewrite that E1 waits for small.
CREATE TABLE custody.blind_index (
    account_id uuid NOT NULL,
    token bytea NOT NULL,
    category smallint NOT NULL,
    record_id uuid NOT NULL,
    PRIMARY KEY (account_id, record_id, token)
) PARTITION BY HASH (account_id, record_id);
CREATE INDEX blind_index_by_token ON custody.blind_index (account_id, token);

DO $$
BEGIN
    FOR remainder IN 0..31 LOOP
        EXECUTE format('CREATE UNLOGGED TABLE custody.blind_index_%s PARTITION OF custody.blind_index
            FOR VALUES WITH (MODULUS 32, REMAINDER %s)', remainder, remainder);
        EXECUTE format('ALTER TABLE custody.blind_index_%s ENABLE ROW LEVEL SECURITY', remainder);
        EXECUTE format('ALTER TABLE custody.blind_index_%s FORCE ROW LEVEL SECURITY', remainder);
    END LOOP;
END $$;

-- Write a partition anew, in new files, from its living rows. VACUUM FULL will not do: it copies rows that some older
-- snapshot could still see. Whoever holds a row of this partition is waited for, nobody else.
CREATE FUNCTION custody.rewrite_index_partition(partition regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = custody, pg_temp SET lock_timeout = '10s' AS $$
DECLARE
    living custody.blind_index[];
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits
                   WHERE inhrelid = partition AND inhparent = 'custody.blind_index'::regclass) THEN
        RAISE EXCEPTION 'not a partition of the blind index';
    END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', partition);
    EXECUTE format('SELECT array_agg(ROW(t.*)::custody.blind_index) FROM %s t', partition) INTO living;
    EXECUTE format('TRUNCATE %s', partition);
    EXECUTE format('INSERT INTO %s SELECT u.* FROM unnest($1) AS u', partition) USING living;
END $$;

-- Whether every snapshot is younger than this transaction, so that VACUUM FULL copies nothing it deleted.
CREATE FUNCTION custody.is_past(deleted_by xid8) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT NOT EXISTS (
        SELECT FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND datname = current_database()
          AND age(coalesce(backend_xmin, backend_xid)) >= age(deleted_by::xid)
    )
$$;
REVOKE ALL ON FUNCTION custody.rewrite_index_partition, custody.is_past FROM PUBLIC;
GRANT EXECUTE ON FUNCTION custody.rewrite_index_partition, custody.is_past TO sealwire_worker;

-- Present while the index is whole. PostgreSQL empties UNLOGGED tables after a crash, and this one with them.
CREATE UNLOGGED TABLE custody.blind_index_whole (since timestamptz NOT NULL);
-- Present while it is being rebuilt: a crash in between empties this too, and the rebuild begins anew.
CREATE UNLOGGED TABLE custody.blind_index_rebuilding (rebuild_id uuid NOT NULL);
GRANT SELECT, INSERT, DELETE ON custody.blind_index_rebuilding TO sealwire_worker;
GRANT SELECT ON custody.blind_index_whole TO sealwire_service;
GRANT SELECT, INSERT, DELETE ON custody.blind_index_whole TO sealwire_worker;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['day_in_use', 'erasure', 'gone', 'gone_day', 'passed', 'media_begun', 'blind_index'] LOOP
        EXECUTE format('ALTER TABLE custody.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE custody.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON custody.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
    END LOOP;
END $$;
CREATE POLICY worker_sees_erasures ON custody.erasure FOR SELECT TO sealwire_worker USING (true);
CREATE POLICY worker_sees_days ON custody.day_in_use FOR SELECT TO sealwire_worker USING (true);

GRANT SELECT, INSERT ON custody.day_in_use, custody.erasure, custody.gone, custody.gone_day, custody.blind_index
    TO sealwire_service, sealwire_worker;
GRANT SELECT, INSERT, DELETE ON custody.passed, custody.media_begun TO sealwire_service, sealwire_worker;
GRANT UPDATE ON custody.erasure TO sealwire_worker;
GRANT DELETE ON custody.blind_index TO sealwire_service;
GRANT DELETE ON custody.day_in_use, custody.blind_index TO sealwire_worker;

-- Compaction ends with WAL segments that no longer hold what was removed; both calls are the worker's alone.
GRANT pg_checkpoint TO sealwire_worker;
GRANT EXECUTE ON FUNCTION pg_switch_wal(), pg_ls_waldir() TO sealwire_worker;
