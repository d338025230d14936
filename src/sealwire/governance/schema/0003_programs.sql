-- Under which certificates customers' programs connect. Public keys, ids and times; the private key never comes here.
CREATE TABLE governance.program (
    account_id uuid NOT NULL REFERENCES governance.account,
    program_id uuid NOT NULL,
    label text NOT NULL CHECK (length(label) <= 100),
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (account_id, program_id)
);

-- A program has one certificate, and while it is being renewed two.
CREATE TABLE governance.program_certificate (
    account_id uuid NOT NULL,
    program_id uuid NOT NULL,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    certificate text NOT NULL,
    issued_at timestamptz NOT NULL,
    valid_until timestamptz NOT NULL,
    PRIMARY KEY (account_id, program_id, fingerprint),
    FOREIGN KEY (account_id, program_id) REFERENCES governance.program
);
CREATE UNIQUE INDEX program_by_fingerprint ON governance.program_certificate (fingerprint);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['program', 'program_certificate'] LOOP
        EXECUTE format('ALTER TABLE governance.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE governance.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON governance.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE (revoked_at) ON governance.program TO sealwire_service;
GRANT SELECT, INSERT ON governance.program_certificate TO sealwire_service;

-- Which of these certificates still let a program in, before any account is known. When one ends is in itself.
CREATE FUNCTION governance.programs_in_force(wanted bytea[])
RETURNS TABLE (fingerprint bytea, account_id uuid, program_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    SELECT c.fingerprint, c.account_id, c.program_id
    FROM governance.program_certificate c
    JOIN governance.program p USING (account_id, program_id)
    JOIN governance.account a USING (account_id)
    WHERE c.fingerprint = ANY (wanted) AND p.revoked_at IS NULL AND a.closed_at IS NULL
$$;
REVOKE ALL ON FUNCTION governance.programs_in_force FROM PUBLIC;
GRANT EXECUTE ON FUNCTION governance.programs_in_force TO sealwire_service;
