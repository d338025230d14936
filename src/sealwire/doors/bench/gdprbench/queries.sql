-- name: prepare
CREATE SCHEMA IF NOT EXISTS bench;
-- What changes and names nobody stands in a row of ids and codes beside the sealed record (docs/adr/0006).
CREATE TABLE bench.state (
    account_id uuid NOT NULL,
    record_id uuid NOT NULL,
    key bigint NOT NULL,
    pur integer NOT NULL,
    ttl integer NOT NULL,
    obj integer NOT NULL,
    dec integer NOT NULL,
    acl integer NOT NULL,
    shr integer NOT NULL,
    src integer NOT NULL,
    cat integer NOT NULL,
    PRIMARY KEY (account_id, record_id)
);
CREATE INDEX state_by_purpose ON bench.state (account_id, pur);
CREATE INDEX state_by_ttl ON bench.state (account_id, ttl);
CREATE INDEX state_by_share ON bench.state (account_id, shr);
ALTER TABLE bench.state ENABLE ROW LEVEL SECURITY;
ALTER TABLE bench.state FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON bench.state
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT USAGE ON SCHEMA bench TO sealwire_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON bench.state TO sealwire_service;

-- Each is one transaction in one round trip, as `keep` of a category is: the act and its leaf, or neither.
CREATE FUNCTION bench.put_state(p_account uuid, p_row bench.state) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    INSERT INTO bench.state SELECT p_row.*;
END $$;
CREATE FUNCTION bench.state_of(p_account uuid, p_records uuid[]) RETURNS SETOF bench.state LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    RETURN QUERY SELECT * FROM bench.state WHERE account_id = p_account AND record_id = ANY(p_records);
END $$;
CREATE FUNCTION bench.state_by_purpose(
    p_account uuid, p_purpose integer, p_event uuid, p_class smallint, p_payload bytea
) RETURNS SETOF bench.state LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    INSERT INTO evidence.event_outbox (account_id, event_id, leaf_class, payload, mentions)
    VALUES (p_account, p_event, p_class, p_payload, '{}');
    RETURN QUERY SELECT * FROM bench.state WHERE account_id = p_account AND pur = p_purpose;
END $$;
CREATE FUNCTION bench.change_state(
    p_account uuid, p_purpose integer, p_records uuid[], p_field text, p_value integer,
    p_event uuid, p_class smallint, p_payload bytea
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_changed bigint;
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    IF p_records IS NULL THEN
        p_records := ARRAY(SELECT record_id FROM bench.state WHERE account_id = p_account AND pur = p_purpose
                           ORDER BY record_id FOR UPDATE);
    END IF;
    UPDATE bench.state SET ttl = CASE WHEN p_field = 'ttl' THEN p_value ELSE ttl END,
        obj = CASE WHEN p_field = 'obj' THEN p_value ELSE obj END,
        dec = CASE WHEN p_field = 'dec' THEN p_value ELSE dec END,
        acl = CASE WHEN p_field = 'acl' THEN p_value ELSE acl END,
        shr = CASE WHEN p_field = 'shr' THEN p_value ELSE shr END,
        src = CASE WHEN p_field = 'src' THEN p_value ELSE src END,
        cat = CASE WHEN p_field = 'cat' THEN p_value ELSE cat END
    WHERE account_id = p_account AND record_id = ANY(p_records);
    GET DIAGNOSTICS v_changed = ROW_COUNT;
    INSERT INTO evidence.event_outbox (account_id, event_id, leaf_class, payload, mentions)
    VALUES (p_account, p_event, p_class, p_payload, '{}');
    RETURN v_changed;
END $$;

-- The baselines: everything in one row in the clear.
CREATE TABLE bench.compliant (
    key bigint PRIMARY KEY,
    pur integer NOT NULL,
    ttl integer NOT NULL,
    usr integer NOT NULL,
    obj integer NOT NULL,
    dec integer NOT NULL,
    acl integer NOT NULL,
    shr integer NOT NULL,
    src integer NOT NULL,
    cat integer NOT NULL,
    data text NOT NULL
);
CREATE TABLE bench.bare (LIKE bench.compliant INCLUDING ALL);
CREATE INDEX compliant_by_purpose ON bench.compliant (pur);
CREATE INDEX compliant_by_user ON bench.compliant (usr);
CREATE INDEX compliant_by_ttl ON bench.compliant (ttl);
CREATE INDEX compliant_by_share ON bench.compliant (shr);
CREATE TABLE bench.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    who text NOT NULL,
    what text NOT NULL,
    subject bigint NOT NULL
);
CREATE INDEX audit_by_subject ON bench.audit (subject, what)

-- name: put_state
SELECT bench.put_state($1, ROW($1, $2::uuid, $3::bigint, $4::integer, $5::integer, $6::integer, $7::integer,
    $8::integer, $9::integer, $10::integer, $11::integer)::bench.state)

-- name: state_of
SELECT key, pur, ttl, obj, dec, acl, shr, src, cat FROM bench.state_of($1, $2)

-- name: state_by_purpose
SELECT key, pur, ttl, obj, dec, acl, shr, src, cat FROM bench.state_by_purpose($1, $2, $3, $4, $5)

-- name: change_state
SELECT bench.change_state($1, $2, $3, $4, $5, $6, $7, $8)

-- name: drop_state
DELETE FROM bench.state WHERE account_id = $1 AND record_id = ANY($2)

-- name: still_readable
SELECT count(*) FROM custody.erasure WHERE state = 'hidden'

-- name: not_at_rest
SELECT (SELECT count(*) FROM custody.erasure WHERE state <> 'removed') + (SELECT count(*) FROM evidence.event_outbox)
    + (SELECT count(*) FROM evidence.kept_outbox)

-- name: unreadable_after
SELECT extract(epoch FROM unreadable_at - requested_at)::float8 AS seconds FROM custody.erasure WHERE requested_at >= $1

-- name: sizes
SELECT sum(bytes) FILTER (WHERE nspname <> 'bench' OR relname = 'state')::bigint AS ours,
    sum(bytes) FILTER (WHERE nspname = 'bench' AND relname IN ('compliant', 'audit'))::bigint AS compliant
FROM (SELECT n.nspname, c.relname, pg_total_relation_size(c.oid) AS bytes
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND n.nspname IN ('custody', 'evidence', 'bench')) AS tables
