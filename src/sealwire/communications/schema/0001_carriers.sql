-- Trunks: where calls go out to and may come in from. Configuration; the password is sealed before it is here.
CREATE SCHEMA IF NOT EXISTS communications;
GRANT USAGE ON SCHEMA communications TO sealwire_service, sealwire_worker;

-- The nil account's trunks are the operator's: every account's calls may go through them.
CREATE TABLE communications.trunk (
    account_id uuid NOT NULL,
    trunk_id uuid NOT NULL,
    settings jsonb NOT NULL,
    secret bytea,
    sources cidr[] NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, trunk_id)
);
ALTER TABLE communications.trunk ENABLE ROW LEVEL SECURITY;
ALTER TABLE communications.trunk FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON communications.trunk
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
CREATE POLICY operators_carry_for_all ON communications.trunk FOR SELECT
    USING (account_id = '00000000-0000-0000-0000-000000000000'
           AND nullif(current_setting('sealwire.account', true), '') IS NOT NULL);
GRANT SELECT, INSERT, DELETE, UPDATE (settings, secret, sources, changed_at) ON communications.trunk
    TO sealwire_service;

-- Whose trunk a call comes in by, before any account is known: of the narrowest network that holds the address.
CREATE FUNCTION communications.trunks_at(source inet)
RETURNS TABLE (account_id uuid, trunk_id uuid, narrowness integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = communications, pg_temp AS $$
    SELECT t.account_id, t.trunk_id, max(masklen(network)) FROM communications.trunk t, unnest(t.sources) AS network
    WHERE source <<= network GROUP BY t.account_id, t.trunk_id ORDER BY 3 DESC
$$;
REVOKE ALL ON FUNCTION communications.trunks_at FROM PUBLIC;
GRANT EXECUTE ON FUNCTION communications.trunks_at TO sealwire_service;

-- Whether a call from there may come in: anybody's, while neither the account nor the operator lists any source.
CREATE FUNCTION communications.may_come_in(p_account uuid, p_source inet) RETURNS boolean
LANGUAGE plpgsql SET search_path = communications, pg_temp AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    RETURN NOT EXISTS (SELECT FROM trunk WHERE cardinality(sources) > 0)
        OR EXISTS (SELECT FROM trunk WHERE p_source <<= ANY (sources));
END $$;
REVOKE ALL ON FUNCTION communications.may_come_in FROM PUBLIC;
GRANT EXECUTE ON FUNCTION communications.may_come_in TO sealwire_service;
