-- Webhooks: where an account wants to be told, and what is on its way there. Addresses are configuration; an event is
-- its name and references (ids, codes, counts). What came of a delivery is kept in custody when it has ended.
CREATE SCHEMA IF NOT EXISTS communications;
GRANT USAGE ON SCHEMA communications TO sealwire_service, sealwire_worker;

CREATE TABLE communications.webhook_endpoint (
    account_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    address text NOT NULL,
    label text NOT NULL,
    events text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'paused', 'disabled', 'removed')),
    secret bytea NOT NULL,
    secret_before bytea,
    secret_before_until timestamptz,
    failing_since timestamptz,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, endpoint_id)
);

-- A row lives from the event to the end of its delivery. `claimed_until`: it is being delivered now; when that runs
-- out, whoever claimed it died. `ended_at`: it is delivered or given up, and still to be kept in custody.
CREATE TABLE communications.webhook_outbox (
    account_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event text NOT NULL,
    reference jsonb NOT NULL,
    announced_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    claimed_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_status integer,
    delivered boolean NOT NULL DEFAULT false,
    ended_at timestamptz,
    PRIMARY KEY (account_id, delivery_id)
);
CREATE INDEX webhook_outbox_due ON communications.webhook_outbox (account_id, endpoint_id, due_at);
CREATE INDEX webhook_outbox_claimed ON communications.webhook_outbox (account_id, endpoint_id)
    WHERE claimed_until IS NOT NULL;
CREATE INDEX webhook_outbox_pages ON communications.webhook_outbox (account_id, announced_at DESC, delivery_id DESC);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['webhook_endpoint', 'webhook_outbox'] LOOP
        EXECUTE format('ALTER TABLE communications.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE communications.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON communications.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
        EXECUTE format('CREATE POLICY worker_delivers ON communications.%I TO sealwire_worker USING (true)', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE (address, label, events, state, secret, secret_before, secret_before_until, failing_since,
    disabled_at, changed_at) ON communications.webhook_endpoint TO sealwire_service;
GRANT SELECT, INSERT, UPDATE (due_at) ON communications.webhook_outbox TO sealwire_service;
GRANT SELECT, DELETE, UPDATE (state, failing_since, disabled_at) ON communications.webhook_endpoint
    TO sealwire_worker;
GRANT SELECT, DELETE, UPDATE (due_at, claimed_until, attempts, last_status, delivered, ended_at)
    ON communications.webhook_outbox TO sealwire_worker;

-- An event into the outbox, once for each endpoint that wants it, in one round trip; several of these end each call.
CREATE FUNCTION communications.announce(p_account uuid, p_event text, p_reference jsonb, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = communications, pg_temp AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    INSERT INTO webhook_outbox (account_id, delivery_id, endpoint_id, event, reference, announced_at, due_at)
    SELECT account_id, gen_random_uuid(), endpoint_id, p_event, p_reference, p_at, p_at FROM webhook_endpoint
    WHERE account_id = p_account AND state = 'active' AND p_event = ANY (events);
    IF FOUND THEN
        PERFORM pg_notify('sealwire_webhooks', '');
    END IF;
END $$;
REVOKE ALL ON FUNCTION communications.announce FROM PUBLIC;
GRANT EXECUTE ON FUNCTION communications.announce TO sealwire_service;
