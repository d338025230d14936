-- Accounts, agreements, credentials, numbers. Ids and hashes; the person behind a credential is not recorded here.
CREATE SCHEMA governance;
GRANT USAGE ON SCHEMA governance TO sealwire_service, sealwire_worker;

CREATE TABLE governance.account (
    account_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    object_prefix text NOT NULL,
    log_origin text NOT NULL,
    log_vkey text NOT NULL,
    created_at timestamptz NOT NULL,
    closed_at timestamptz
);

CREATE TABLE governance.agreement (
    account_id uuid NOT NULL REFERENCES governance.account,
    agreement_id uuid NOT NULL,
    document text NOT NULL,
    document_sha256 bytea NOT NULL,
    annex jsonb NOT NULL,
    accepted_by uuid NOT NULL,
    accepted_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (account_id, agreement_id)
);

CREATE TABLE governance.credential (
    account_id uuid NOT NULL REFERENCES governance.account,
    credential_id uuid NOT NULL,
    secret_sha256 bytea NOT NULL,
    label text NOT NULL,
    scopes text[] NOT NULL,
    default_purpose text,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (account_id, credential_id)
);
CREATE INDEX credential_by_secret ON governance.credential (secret_sha256);

CREATE TABLE governance.operator_credential (
    credential_id uuid PRIMARY KEY,
    secret_sha256 bytea NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE TABLE governance.number (
    account_id uuid NOT NULL REFERENCES governance.account,
    number text NOT NULL,
    service text NOT NULL,
    assigned_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, number)
);
CREATE UNIQUE INDEX number_routes_once ON governance.number (number);

-- A POST that is sent twice acts once. Ids and hashes only; the answer is looked up again, never stored.
CREATE TABLE governance.idempotency (
    account_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    key_sha256 bytea NOT NULL,
    request_sha256 bytea NOT NULL,
    resource text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, credential_id, key_sha256)
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['account', 'agreement', 'credential', 'number', 'idempotency'] LOOP
        EXECUTE format('ALTER TABLE governance.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE governance.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON governance.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
    END LOOP;
END $$;
CREATE POLICY worker_forgets_requests ON governance.idempotency TO sealwire_worker USING (true);
CREATE POLICY worker_sees_accounts ON governance.account FOR SELECT TO sealwire_worker USING (true);

-- What was agreed and who may come in is written once; of all this only a credential ever changes, by being revoked.
-- Nobody reads the hash of a secret back: it is looked up by find_credential below.
GRANT SELECT, INSERT ON governance.account, governance.agreement, governance.number, governance.idempotency
    TO sealwire_service;
GRANT INSERT, UPDATE (revoked_at), SELECT (account_id, credential_id, label, scopes, default_purpose, created_at,
    revoked_at) ON governance.credential TO sealwire_service;
GRANT SELECT (account_id, closed_at) ON governance.account TO sealwire_worker;
GRANT SELECT (created_at), DELETE ON governance.idempotency TO sealwire_worker;

-- Who a secret belongs to, before the account is known. Nothing else is told to the caller.
CREATE FUNCTION governance.find_credential(secret bytea)
RETURNS TABLE (account_id uuid, credential_id uuid, scopes text[], default_purpose text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    SELECT c.account_id, c.credential_id, c.scopes, c.default_purpose
    FROM governance.credential c JOIN governance.account a USING (account_id)
    WHERE c.secret_sha256 = secret AND c.revoked_at IS NULL AND a.closed_at IS NULL
    UNION ALL
    SELECT NULL, o.credential_id, ARRAY['operator'], NULL
    FROM governance.operator_credential o WHERE o.secret_sha256 = secret AND o.revoked_at IS NULL
$$;

-- Which account answers a number, whether it has an agreement in force; for the switchboard, before the account is known.
CREATE FUNCTION governance.route_number(dialled text)
RETURNS TABLE (account_id uuid, service text, agreed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    SELECT n.account_id, n.service,
           EXISTS (SELECT FROM governance.agreement g WHERE g.account_id = n.account_id AND g.ended_at IS NULL)
    FROM governance.number n JOIN governance.account a USING (account_id)
    WHERE n.number = dialled AND a.closed_at IS NULL
$$;

-- For the switchboard's recovery after a crash: whose calls may have been up.
CREATE FUNCTION governance.accounts_with_numbers() RETURNS TABLE (account_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    SELECT DISTINCT n.account_id FROM governance.number n JOIN governance.account a USING (account_id) WHERE a.closed_at IS NULL
$$;

CREATE FUNCTION governance.store_operator_credential(id uuid, secret bytea, at timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    INSERT INTO governance.operator_credential (credential_id, secret_sha256, created_at) VALUES (id, secret, at)
$$;

REVOKE ALL ON FUNCTION governance.find_credential, governance.route_number, governance.accounts_with_numbers,
    governance.store_operator_credential FROM PUBLIC;
GRANT EXECUTE ON FUNCTION governance.find_credential, governance.route_number, governance.accounts_with_numbers
    TO sealwire_service;
