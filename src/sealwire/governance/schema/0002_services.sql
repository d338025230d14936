-- Services answer numbers and drive outbound calls; numbers get ids of their own; credentials get addresses and rotation.
CREATE TABLE governance.service (
    account_id uuid NOT NULL REFERENCES governance.account,
    service_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound', 'both')),
    logic jsonb NOT NULL,
    recording jsonb NOT NULL,
    seconds_max integer NOT NULL,
    early_media boolean NOT NULL,
    page_secret bytea,
    page_secret_before bytea,
    page_secret_before_until timestamptz,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, service_id)
);
ALTER TABLE governance.service ENABLE ROW LEVEL SECURITY;
ALTER TABLE governance.service FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON governance.service
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT SELECT, INSERT, DELETE, UPDATE (name, direction, logic, recording, seconds_max, early_media, page_secret,
    page_secret_before, page_secret_before_until, changed_at) ON governance.service TO sealwire_service;

-- Numbers named a built-in service by text; each such text becomes a service of its account.
INSERT INTO governance.service
    (account_id, service_id, name, direction, logic, recording, seconds_max, early_media, created_at, changed_at)
SELECT account_id, gen_random_uuid(), service, 'inbound', jsonb_build_object('kind', 'built-in', 'name', service),
       '{"whole_call": false}', 14400, false, min(assigned_at), min(assigned_at)
FROM governance.number GROUP BY account_id, service;

ALTER TABLE governance.number
    ADD COLUMN number_id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN service_id uuid,
    ADD COLUMN caller_only boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT number_points_to_service FOREIGN KEY (account_id, service_id) REFERENCES governance.service,
    ADD CONSTRAINT caller_only_answers_nothing CHECK (NOT caller_only OR service_id IS NULL);
UPDATE governance.number n SET service_id = s.service_id
FROM governance.service s WHERE s.account_id = n.account_id AND s.name = n.service;
ALTER TABLE governance.number DROP COLUMN service;
CREATE UNIQUE INDEX number_by_id ON governance.number (account_id, number_id);
CREATE INDEX number_of_service ON governance.number (account_id, service_id);
-- A number that an account may only show as caller can be another's too; one that is answered belongs to one account.
DROP INDEX governance.number_routes_once;
CREATE UNIQUE INDEX number_routes_once ON governance.number (number) WHERE NOT caller_only;
GRANT UPDATE (service_id), DELETE ON governance.number TO sealwire_service;

-- Which account and service answer a number, and whether an agreement is in force there; before the account is known.
CREATE FUNCTION governance.route_call(dialled text)
RETURNS TABLE (account_id uuid, service_id uuid, agreed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    SELECT n.account_id, n.service_id,
           EXISTS (SELECT FROM governance.agreement g WHERE g.account_id = n.account_id AND g.ended_at IS NULL)
    FROM governance.number n JOIN governance.account a USING (account_id)
    WHERE n.number = dialled AND NOT n.caller_only AND a.closed_at IS NULL
$$;
DROP FUNCTION governance.route_number;

-- For the switchboard's recovery after a crash: whose calls may have been up. An outbound call needs a service only.
CREATE OR REPLACE FUNCTION governance.accounts_with_numbers() RETURNS TABLE (account_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    SELECT a.account_id FROM governance.account a WHERE a.closed_at IS NULL
    AND (EXISTS (SELECT FROM governance.number n WHERE n.account_id = a.account_id)
         OR EXISTS (SELECT FROM governance.service s WHERE s.account_id = a.account_id))
$$;

-- A credential may be bound to networks, and may have a second secret while programs move from one to the next.
ALTER TABLE governance.credential ADD COLUMN allowed_from cidr[], ADD COLUMN secret_until timestamptz;
CREATE TABLE governance.credential_secret (
    account_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    secret_sha256 bytea NOT NULL,
    created_at timestamptz NOT NULL,
    secret_until timestamptz,
    PRIMARY KEY (account_id, credential_id, secret_sha256),
    FOREIGN KEY (account_id, credential_id) REFERENCES governance.credential
);
CREATE INDEX credential_by_later_secret ON governance.credential_secret (secret_sha256);
ALTER TABLE governance.credential_secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE governance.credential_secret FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON governance.credential_secret
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT INSERT, UPDATE (secret_until), SELECT (account_id, credential_id, created_at, secret_until)
    ON governance.credential_secret TO sealwire_service;
GRANT UPDATE (allowed_from, secret_until), SELECT (allowed_from, secret_until), INSERT (allowed_from)
    ON governance.credential TO sealwire_service;

-- Who a secret belongs to at this moment, and whether it may come from this address. One look-up for each request.
DROP FUNCTION governance.find_credential;
CREATE FUNCTION governance.find_credential(secret bytea, source inet, at timestamptz)
RETURNS TABLE (account_id uuid, credential_id uuid, scopes text[], default_purpose text, in_place boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    SELECT c.account_id, c.credential_id, c.scopes, c.default_purpose,
           coalesce(c.allowed_from IS NULL OR source <<= ANY (c.allowed_from), false)
    FROM governance.credential c JOIN governance.account a USING (account_id)
    WHERE c.secret_sha256 = secret AND c.revoked_at IS NULL AND a.closed_at IS NULL
      AND (c.secret_until IS NULL OR c.secret_until > at)
    UNION ALL
    SELECT c.account_id, c.credential_id, c.scopes, c.default_purpose,
           coalesce(c.allowed_from IS NULL OR source <<= ANY (c.allowed_from), false)
    FROM governance.credential_secret s JOIN governance.credential c USING (account_id, credential_id)
    JOIN governance.account a USING (account_id)
    WHERE s.secret_sha256 = secret AND c.revoked_at IS NULL AND a.closed_at IS NULL
      AND (s.secret_until IS NULL OR s.secret_until > at)
    UNION ALL
    SELECT NULL, o.credential_id, ARRAY['operator'], NULL, true
    FROM governance.operator_credential o WHERE o.secret_sha256 = secret AND o.revoked_at IS NULL
$$;

-- A POST whose work is done elsewhere takes its key first and says afterwards what it made.
GRANT UPDATE (resource) ON governance.idempotency TO sealwire_service;

-- What answers a call, in one round trip.
CREATE FUNCTION governance.service_of(p_account uuid, p_service uuid) RETURNS jsonb
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    RETURN (SELECT jsonb_build_object('name', name, 'direction', direction, 'logic', logic, 'recording', recording,
                                      'seconds_max', seconds_max, 'early_media', early_media)
            FROM service WHERE account_id = p_account AND service_id = p_service);
END $$;

REVOKE ALL ON FUNCTION governance.find_credential, governance.route_call, governance.service_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION governance.find_credential, governance.route_call, governance.service_of TO sealwire_service;
