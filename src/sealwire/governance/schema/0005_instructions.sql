-- Retention classes: names by which a customer keeps what its services leave for other periods than the rest.
CREATE TABLE governance.retention_class (
    account_id uuid NOT NULL REFERENCES governance.account,
    retention_class smallint NOT NULL CHECK (retention_class BETWEEN 1 AND 15),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, retention_class)
);
ALTER TABLE governance.service
    ADD COLUMN retention_class smallint NOT NULL DEFAULT 0 CHECK (retention_class BETWEEN 0 AND 15);
GRANT UPDATE (retention_class) ON governance.service TO sealwire_service;

-- Keys with which a customer signs instructions, and the instructions that were given, word for word.
CREATE TABLE governance.instruction_key (
    account_id uuid NOT NULL REFERENCES governance.account,
    vkey text NOT NULL CHECK (length(vkey) <= 300),
    registered_by uuid NOT NULL,
    registered_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (account_id, vkey)
);
CREATE TABLE governance.instruction (
    account_id uuid NOT NULL REFERENCES governance.account,
    instruction_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    note text NOT NULL,
    vkey text NOT NULL,
    given_by uuid NOT NULL,
    given_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, instruction_id),
    UNIQUE (account_id, sha256)
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['retention_class', 'instruction_key', 'instruction'] LOOP
        EXECUTE format('ALTER TABLE governance.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE governance.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON governance.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE (name, changed_at) ON governance.retention_class TO sealwire_service;
GRANT SELECT, INSERT, UPDATE (retired_at) ON governance.instruction_key TO sealwire_service;
GRANT SELECT, INSERT ON governance.instruction TO sealwire_service;

-- What answers a call, in one round trip; now with where its records go.
CREATE OR REPLACE FUNCTION governance.service_of(p_account uuid, p_service uuid) RETURNS jsonb
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    RETURN (SELECT jsonb_build_object('name', name, 'direction', direction, 'logic', logic, 'recording', recording,
                                      'seconds_max', seconds_max, 'early_media', early_media,
                                      'retention_class', retention_class)
            FROM service WHERE account_id = p_account AND service_id = p_service);
END $$;
