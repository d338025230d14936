-- Closing an account is a workflow of days: a row that moves in the same transaction as what it does. No personal data:
-- ids, states, times, and what was kept with its ground, as the certificate says it.
CREATE TABLE custody.closure (
    account_id uuid NOT NULL,
    closure_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('grace', 'cancelled', 'hidden', 'unreadable', 'removed')),
    requested_by uuid NOT NULL,
    grace_days smallint NOT NULL CHECK (grace_days BETWEEN 0 AND 30),
    begun_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    cancelled_at timestamptz,
    hidden_at timestamptz,
    unreadable_at timestamptz,
    removed_at timestamptz,
    gone_from_backups_by date,
    receipts jsonb NOT NULL DEFAULT '[]',
    kept jsonb NOT NULL DEFAULT '[]',
    certificate text,
    PRIMARY KEY (account_id, closure_id)
);
CREATE UNIQUE INDEX closure_is_one ON custody.closure (account_id) WHERE state <> 'cancelled';
CREATE INDEX closure_unfinished ON custody.closure (ends_at) WHERE state NOT IN ('cancelled', 'removed');
ALTER TABLE custody.closure ENABLE ROW LEVEL SECURITY;
ALTER TABLE custody.closure FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON custody.closure
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
CREATE POLICY worker_sees_closures ON custody.closure FOR SELECT TO sealwire_worker USING (true);
GRANT SELECT, INSERT, UPDATE (state, cancelled_at) ON custody.closure TO sealwire_service;
GRANT SELECT, UPDATE (state, hidden_at, unreadable_at, removed_at, gone_from_backups_by, receipts, kept, certificate)
    ON custody.closure TO sealwire_worker;

-- For the operator, across accounts: which accounts close or are closed. Ids, states and times.
CREATE FUNCTION custody.closures_of_all(p_before timestamptz, p_closure uuid, p_limit integer)
RETURNS SETOF custody.closure
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = custody, pg_temp AS $$
    SELECT * FROM custody.closure WHERE p_before IS NULL OR (begun_at, closure_id) < (p_before, p_closure)
    ORDER BY begun_at DESC, closure_id DESC LIMIT p_limit
$$;
CREATE FUNCTION custody.account_of_closure(p_closure uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = custody, pg_temp AS $$
    SELECT account_id FROM custody.closure WHERE closure_id = p_closure
$$;

-- Remove at most so many rows of a closed account from one table, whatever table it is; how many it were. What stays:
-- rows of the kept categories, what is held and by which hold, and mentions in the log of records that are kept. The caller leaves out
-- the tables that stay whole (`custody.closure.allowed`). Nothing of an account that is not closed is ever touched.
CREATE FUNCTION custody.remove_of_closed(
    p_account uuid, p_table regclass, p_category smallint, p_kept smallint[], p_limit integer
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    spared text := '';
    removed bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM governance.account WHERE account_id = p_account AND closed_at IS NOT NULL)
       OR NOT EXISTS (SELECT FROM custody.closure WHERE account_id = p_account
                      AND state IN ('unreadable', 'removed')) THEN
        RAISE EXCEPTION 'this account is not closed and unreadable';
    END IF;
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = p_table AND attname = 'category' AND NOT attisdropped) THEN
        spared := 'AND NOT t.category = ANY ($2)';
    ELSIF p_table = 'evidence.mention'::regclass THEN
        spared := 'AND NOT EXISTS (SELECT FROM custody.billing_record b
                                   WHERE b.account_id = t.account_id AND b.record_id = t.record_id)';
    END IF;
    IF p_table = 'custody.hold'::regclass THEN
        spared := 'AND t.state = ''released''';
    END IF;
    IF p_category IS NOT NULL THEN
        spared := spared || ' AND NOT EXISTS (SELECT FROM custody.held h WHERE h.account_id = t.account_id
            AND h.category = $4 AND h.retention_class = t.retention_class AND h.day = t.day
            AND (h.slot IS NULL OR h.slot = t.slot))';
    END IF;
    EXECUTE format('DELETE FROM %1$s t WHERE t.account_id = $1 AND t.ctid = ANY (ARRAY(
            SELECT t.ctid FROM %1$s t WHERE t.account_id = $1 %2$s LIMIT $3))', p_table, spared)
        USING p_account, p_kept, p_limit, p_category;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;

-- Which tables hold rows of accounts: read from the catalogue, so that a table that comes later is covered.
CREATE FUNCTION custody.tables_of_accounts() RETURNS TABLE (name text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT n.nspname || '.' || c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY 1
$$;

-- Payloads of the log that lie before the closure's statement: where their keys are, and the removal of their rows.
CREATE FUNCTION custody.remove_payloads(p_account uuid, p_below bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM custody.closure WHERE account_id = p_account AND state IN ('unreadable', 'removed')) THEN
        RAISE EXCEPTION 'this account is not closed and unreadable';
    END IF;
    DELETE FROM evidence.payload WHERE account_id = p_account AND idx < p_below;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;

REVOKE ALL ON FUNCTION custody.closures_of_all, custody.account_of_closure, custody.remove_of_closed,
    custody.tables_of_accounts, custody.remove_payloads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION custody.closures_of_all, custody.account_of_closure TO sealwire_service;
GRANT EXECUTE ON FUNCTION custody.remove_of_closed, custody.tables_of_accounts, custody.remove_payloads
    TO sealwire_worker;

-- The log tells of closings: 40 begun, 41 cancelled; 42 and 43 are statements, which the sequencer alone includes.
ALTER TABLE evidence.event_outbox DROP CONSTRAINT IF EXISTS posted_class;
ALTER TABLE evidence.event_outbox
    ADD CONSTRAINT posted_class CHECK (leaf_class BETWEEN 1 AND 127 AND leaf_class NOT IN (5, 9, 10, 42, 43));

-- The statutory period of invoices is set when it is known where the account is, and again before it is closed.
GRANT SELECT, INSERT, UPDATE (days, told_days) ON custody.retention_period TO sealwire_worker;
GRANT DELETE ON custody.blind_index TO sealwire_worker;

-- Which tables still name an account: what the certificate says stayed, and how a drill is checked.
CREATE FUNCTION custody.tables_left(p_account uuid) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = custody, pg_temp AS $$
DECLARE
    each text;
    has_any boolean;
BEGIN
    FOR each IN SELECT name FROM custody.tables_of_accounts() LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE account_id = $1)', each::regclass) INTO has_any USING p_account;
        IF has_any THEN
            RETURN NEXT each;
        END IF;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION custody.tables_left FROM PUBLIC;
GRANT EXECUTE ON FUNCTION custody.tables_left TO sealwire_worker;

-- Until when anything of an account is held.
CREATE FUNCTION custody.held_until(p_account uuid) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = custody, pg_temp AS $$
BEGIN
    RETURN (SELECT max(until_day) FROM custody.hold h WHERE h.account_id = p_account AND h.state <> 'released');
END $$;
REVOKE ALL ON FUNCTION custody.held_until FROM PUBLIC;
GRANT EXECUTE ON FUNCTION custody.held_until TO sealwire_worker;
