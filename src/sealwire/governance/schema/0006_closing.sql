-- Closing an account. Its state is in the row of the account itself, so that whatever asks for the account sees it:
-- `closing` from `closing_at` (the grace: reading works, nothing new begins), `closed` from `closes_at` at the latest.
-- `closed_at` is when the worker took that step; the clock alone decides before it does. `retrieval_sha256` lets its
-- former owner read how it went, and nothing else. `country` decides how long invoices are kept.
ALTER TABLE governance.account
    ADD COLUMN country text CHECK (country ~ '^[A-Z]{2}$'),
    ADD COLUMN closure_id uuid,
    ADD COLUMN closing_at timestamptz,
    ADD COLUMN closes_at timestamptz,
    ADD COLUMN retrieval_sha256 bytea,
    ADD COLUMN state text NOT NULL GENERATED ALWAYS AS (
        CASE WHEN closed_at IS NOT NULL THEN 'closed' WHEN closing_at IS NOT NULL THEN 'closing' ELSE 'open' END
    ) STORED,
    ADD CONSTRAINT closing_is_whole CHECK ((closing_at IS NULL) = (closes_at IS NULL) AND
        (closing_at IS NULL) = (closure_id IS NULL) AND (closing_at IS NULL) = (retrieval_sha256 IS NULL)),
    ADD CONSTRAINT closed_after_closing CHECK (closed_at IS NULL OR closing_at IS NOT NULL) NOT VALID;
CREATE INDEX account_by_retrieval ON governance.account (retrieval_sha256) WHERE retrieval_sha256 IS NOT NULL;
GRANT UPDATE (country, closure_id, closing_at, closes_at, retrieval_sha256) ON governance.account TO sealwire_service;
GRANT UPDATE (closed_at), SELECT (name, state, country, object_prefix, closure_id, closing_at, closes_at)
    ON governance.account TO sealwire_worker;

-- Who a secret belongs to, and whether that account is closed. The retrieval token of a closure is found here too: it
-- has no scope, and reads how the closure went.
DROP FUNCTION governance.find_credential;
CREATE FUNCTION governance.find_credential(secret bytea, source inet, at timestamptz)
RETURNS TABLE (account_id uuid, credential_id uuid, scopes text[], default_purpose text, in_place boolean,
               closed_at timestamptz, closure_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    SELECT c.account_id, c.credential_id, c.scopes, c.default_purpose,
           coalesce(c.allowed_from IS NULL OR source <<= ANY (c.allowed_from), false),
           coalesce(a.closed_at, CASE WHEN a.closes_at <= at THEN a.closes_at END), a.closure_id
    FROM governance.credential c JOIN governance.account a USING (account_id)
    WHERE c.secret_sha256 = secret AND c.revoked_at IS NULL AND (c.secret_until IS NULL OR c.secret_until > at)
    UNION ALL
    SELECT c.account_id, c.credential_id, c.scopes, c.default_purpose,
           coalesce(c.allowed_from IS NULL OR source <<= ANY (c.allowed_from), false),
           coalesce(a.closed_at, CASE WHEN a.closes_at <= at THEN a.closes_at END), a.closure_id
    FROM governance.credential_secret s JOIN governance.credential c USING (account_id, credential_id)
    JOIN governance.account a USING (account_id)
    WHERE s.secret_sha256 = secret AND c.revoked_at IS NULL AND (s.secret_until IS NULL OR s.secret_until > at)
    UNION ALL
    SELECT NULL, o.credential_id, ARRAY['operator'], NULL, true, NULL, NULL
    FROM governance.operator_credential o WHERE o.secret_sha256 = secret AND o.revoked_at IS NULL
    UNION ALL
    SELECT a.account_id, a.closure_id, ARRAY[]::text[], NULL, true, NULL, NULL
    FROM governance.account a WHERE a.retrieval_sha256 = secret
$$;

-- An account that is closing takes no new call; one that is closed lets no program in and has no calls to recover.
CREATE OR REPLACE FUNCTION governance.route_call(dialled text)
RETURNS TABLE (account_id uuid, service_id uuid, agreed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = governance, pg_temp AS $$
    SELECT n.account_id, n.service_id,
           EXISTS (SELECT FROM governance.agreement g WHERE g.account_id = n.account_id AND g.ended_at IS NULL)
    FROM governance.number n JOIN governance.account a USING (account_id)
    WHERE n.number = dialled AND NOT n.caller_only AND a.state = 'open'
$$;

REVOKE ALL ON FUNCTION governance.find_credential FROM PUBLIC;
GRANT EXECUTE ON FUNCTION governance.find_credential TO sealwire_service;
