-- Default-deny for money: caps, destinations, what is reserved and what was spent. Amounts in millicents; no number of
-- anybody is here: a destination is a prefix or a country, a reservation knows only its amount and its price.
CREATE TABLE governance.spending (
    account_id uuid PRIMARY KEY REFERENCES governance.account,
    day_cap_max bigint NOT NULL DEFAULT 5000000 CHECK (day_cap_max >= 0),
    month_cap_max bigint NOT NULL DEFAULT 50000000 CHECK (month_cap_max >= 0),
    calls_max integer NOT NULL DEFAULT 250 CHECK (calls_max >= 0),
    setups_per_second_max integer NOT NULL DEFAULT 30 CHECK (setups_per_second_max >= 0),
    refused_per_minute_max integer NOT NULL DEFAULT 30 CHECK (refused_per_minute_max > 0),
    premium_per_minute_max integer NOT NULL DEFAULT 10 CHECK (premium_per_minute_max > 0),
    short_per_minute_max integer NOT NULL DEFAULT 60 CHECK (short_per_minute_max > 0),
    owner_day_cap bigint CHECK (owner_day_cap >= 0),
    owner_month_cap bigint CHECK (owner_month_cap >= 0),
    owner_calls integer CHECK (owner_calls >= 0),
    card_policy text NOT NULL DEFAULT 'mask' CHECK (card_policy IN ('off', 'mask', 'refuse')),
    day date NOT NULL,
    day_spent bigint NOT NULL DEFAULT 0,
    month date NOT NULL,
    month_spent bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    calls_up integer NOT NULL DEFAULT 0 CHECK (calls_up >= 0),
    second timestamptz NOT NULL,
    setups integer NOT NULL DEFAULT 0,
    minute timestamptz NOT NULL,
    refused integer NOT NULL DEFAULT 0,
    premium integer NOT NULL DEFAULT 0,
    short integer NOT NULL DEFAULT 0,
    cap_told_on date,
    suspended_at timestamptz,
    suspended_for text CHECK (suspended_for IN ('refusals', 'premium', 'short-calls', 'operator'))
);

CREATE TABLE governance.allowed_destination (
    account_id uuid NOT NULL REFERENCES governance.account,
    destination text NOT NULL CHECK (destination ~ '^([+][0-9]{0,9}|[0-9*#]{2,8}|[A-Z]{2})$'),
    premium boolean NOT NULL,
    added_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, destination)
);

-- One leg or message that was let go ahead. `terms` is the price it was admitted at, so that it is settled at that.
-- What was settled stays, with what was used, until its billing records are kept: a crash in between loses no charge.
CREATE TABLE governance.reservation (
    account_id uuid NOT NULL REFERENCES governance.account,
    reservation_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('inbound', 'outbound', 'message')),
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'lapsed', 'settled')),
    amount bigint NOT NULL CHECK (amount >= 0),
    terms jsonb NOT NULL,
    call_id uuid,
    used_s double precision NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (account_id, reservation_id)
);
CREATE INDEX reservation_by_expiry ON governance.reservation (expires_at) WHERE state = 'held';
CREATE INDEX reservation_by_call ON governance.reservation (account_id, call_id) WHERE kind <> 'message';

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['spending', 'allowed_destination', 'reservation'] LOOP
        EXECUTE format('ALTER TABLE governance.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE governance.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON governance.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
    END LOOP;
END $$;
CREATE POLICY worker_lets_lapse ON governance.reservation TO sealwire_worker USING (true);
CREATE POLICY worker_counts_lapsed ON governance.spending TO sealwire_worker USING (true);
GRANT SELECT, INSERT, UPDATE ON governance.spending TO sealwire_service;
GRANT SELECT, INSERT, DELETE ON governance.allowed_destination TO sealwire_service;
GRANT SELECT, INSERT, DELETE, UPDATE (amount, expires_at, state, used_s, settled_at) ON governance.reservation
    TO sealwire_service;
GRANT SELECT, DELETE, UPDATE (state) ON governance.reservation TO sealwire_worker;
GRANT SELECT, UPDATE (day_spent, month_spent, reserved, calls_up) ON governance.spending TO sealwire_worker;

-- The account's row, locked, with its windows turned to this moment. Everything below begins with it, so whatever an
-- account does at one time is counted one after another.
CREATE FUNCTION governance.spending_at(p_account uuid, p_at timestamptz) RETURNS governance.spending
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
DECLARE
    s governance.spending;
    at_utc timestamp := p_at AT TIME ZONE 'UTC';
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    INSERT INTO spending (account_id, day, month, second, minute)
    VALUES (p_account, at_utc::date, date_trunc('month', at_utc)::date, p_at, p_at) ON CONFLICT DO NOTHING;
    UPDATE spending SET
        day = at_utc::date,
        day_spent = CASE WHEN day = at_utc::date THEN day_spent ELSE 0 END,
        month = date_trunc('month', at_utc)::date,
        month_spent = CASE WHEN month = date_trunc('month', at_utc)::date THEN month_spent ELSE 0 END,
        setups = CASE WHEN p_at < second + interval '1 second' THEN setups ELSE 0 END,
        second = CASE WHEN p_at < second + interval '1 second' THEN second ELSE p_at END,
        refused = CASE WHEN p_at < minute + interval '1 minute' THEN refused ELSE 0 END,
        premium = CASE WHEN p_at < minute + interval '1 minute' THEN premium ELSE 0 END,
        short = CASE WHEN p_at < minute + interval '1 minute' THEN short ELSE 0 END,
        minute = CASE WHEN p_at < minute + interval '1 minute' THEN minute ELSE p_at END
    WHERE account_id = p_account RETURNING * INTO s;
    RETURN s;
END $$;

-- The same for what happens hundreds of times a second: its row is not held while the disk writes. What follows it in
-- the log (the live call, the queued message, the billing record) is written through, and it with that.
CREATE FUNCTION governance.turn(p_account uuid, p_at timestamptz) RETURNS governance.spending
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN governance.spending_at(p_account, p_at);
END $$;

-- Count what is suspicious; true when that suspends the account now.
CREATE FUNCTION governance.suspect(
    p_account uuid, p_at timestamptz, p_refused integer, p_premium integer, p_short integer
) RETURNS boolean LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
BEGIN
    UPDATE spending SET refused = refused + p_refused, premium = premium + p_premium, short = short + p_short
    WHERE account_id = p_account;
    UPDATE spending SET suspended_at = p_at, suspended_for =
        CASE WHEN premium > premium_per_minute_max THEN 'premium'
             WHEN short > short_per_minute_max THEN 'short-calls' ELSE 'refusals' END
    WHERE account_id = p_account AND suspended_at IS NULL
      AND (refused > refused_per_minute_max OR premium > premium_per_minute_max OR short > short_per_minute_max);
    RETURN FOUND;
END $$;

-- Hold an amount, if all that is spent and held stays within both caps: one UPDATE decides. 'held', or 'cap', or
-- 'cap-first' when it is the first time on this day.
CREATE FUNCTION governance.hold(p_account uuid, p_at timestamptz, p_amount bigint) RETURNS text
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
BEGIN
    UPDATE spending SET reserved = reserved + p_amount
    WHERE account_id = p_account AND (p_amount = 0 OR (
        day_spent + reserved + p_amount <= least(day_cap_max, owner_day_cap)
        AND month_spent + reserved + p_amount <= least(month_cap_max, owner_month_cap)));
    IF FOUND THEN
        RETURN 'held';
    END IF;
    UPDATE spending SET cap_told_on = day WHERE account_id = p_account AND cap_told_on IS DISTINCT FROM day;
    RETURN CASE WHEN FOUND THEN 'cap-first' ELSE 'cap' END;
END $$;

-- Whether a number is the account's own, and what its owner allows: one round trip before each outbound leg.
CREATE FUNCTION governance.destination_rules(p_account uuid, p_number text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    RETURN jsonb_build_object(
        'is_own', EXISTS (SELECT FROM number WHERE account_id = p_account AND number = p_number AND NOT caller_only),
        'allowed', (SELECT coalesce(jsonb_agg(jsonb_build_array(destination, premium)), '[]')
                    FROM allowed_destination WHERE account_id = p_account));
END $$;

-- May this leg or message go ahead? 'held', 'suspended', 'suspended-now', 'too-many', 'too-fast', 'cap' or 'cap-first'.
CREATE FUNCTION governance.admit(
    p_account uuid, p_reservation uuid, p_kind text, p_is_premium boolean, p_at timestamptz, p_expires_at timestamptz,
    p_amount bigint, p_terms jsonb, p_call uuid
) RETURNS text LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
DECLARE
    s governance.spending := governance.turn(p_account, p_at);
    outcome text;
BEGIN
    IF p_kind <> 'inbound' AND s.suspended_at IS NOT NULL THEN
        RETURN 'suspended';
    END IF;
    IF p_is_premium AND governance.suspect(p_account, p_at, 0, 1, 0) THEN
        RETURN 'suspended-now';
    END IF;
    IF p_kind = 'outbound' AND s.setups >= s.setups_per_second_max THEN
        RETURN 'too-fast';
    END IF;
    IF p_kind <> 'message' AND s.calls_up >= least(s.calls_max, s.owner_calls) THEN
        RETURN 'too-many';
    END IF;
    outcome := governance.hold(p_account, p_at, p_amount);
    IF outcome <> 'held' THEN
        IF p_kind <> 'inbound' AND governance.suspect(p_account, p_at, 1, 0, 0) THEN
            RETURN 'suspended-now';
        END IF;
        RETURN outcome;
    END IF;
    UPDATE spending SET setups = setups + (p_kind = 'outbound')::int, calls_up = calls_up + (p_kind <> 'message')::int
    WHERE account_id = p_account;
    INSERT INTO reservation (account_id, reservation_id, kind, amount, terms, call_id, made_at, expires_at)
    VALUES (p_account, p_reservation, p_kind, p_amount, p_terms, p_call, p_at, p_expires_at);
    RETURN 'held';
END $$;

-- Count an attempt towards a destination that is not allowed: 'refused', 'suspended' or 'suspended-now'.
CREATE FUNCTION governance.count_refused(p_account uuid, p_is_premium boolean, p_at timestamptz) RETURNS text
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
DECLARE
    s governance.spending := governance.turn(p_account, p_at);
BEGIN
    IF s.suspended_at IS NOT NULL THEN
        RETURN 'suspended';
    END IF;
    RETURN CASE WHEN governance.suspect(p_account, p_at, 1, p_is_premium::int, 0)
                THEN 'suspended-now' ELSE 'refused' END;
END $$;

-- Hold more for a leg that is up: 'held', 'cap', 'cap-first', 'suspended' or 'gone'.
CREATE FUNCTION governance.extend(
    p_account uuid, p_reservation uuid, p_at timestamptz, p_expires_at timestamptz, p_more bigint
) RETURNS text LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
DECLARE
    s governance.spending := governance.turn(p_account, p_at);
    outcome text;
    held_kind text;
BEGIN
    SELECT kind INTO held_kind FROM reservation
    WHERE account_id = p_account AND reservation_id = p_reservation AND state = 'held' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    IF held_kind = 'outbound' AND s.suspended_at IS NOT NULL THEN
        RETURN 'suspended';
    END IF;
    outcome := governance.hold(p_account, p_at, p_more);
    IF outcome = 'held' THEN
        UPDATE reservation SET amount = amount + p_more, expires_at = p_expires_at
        WHERE account_id = p_account AND reservation_id = p_reservation;
    END IF;
    RETURN outcome;
END $$;

-- Give back what was held and count what was spent. What had lapsed was counted already, so the difference is. What is
-- to be billed stays as settled until that is done.
CREATE FUNCTION governance.settle(
    p_account uuid, p_reservation uuid, p_at timestamptz, p_amount bigint, p_is_short boolean,
    p_used_s double precision, p_is_billed boolean
) RETURNS text LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
DECLARE
    s governance.spending := governance.turn(p_account, p_at);
    r governance.reservation;
    spent bigint;
BEGIN
    SELECT * INTO r FROM reservation WHERE account_id = p_account AND reservation_id = p_reservation FOR UPDATE;
    IF NOT FOUND OR r.state = 'settled' THEN
        RETURN 'settled-before';
    END IF;
    IF p_is_billed THEN
        UPDATE reservation SET state = 'settled', amount = p_amount, used_s = p_used_s, settled_at = p_at
        WHERE account_id = p_account AND reservation_id = p_reservation;
    ELSE
        DELETE FROM reservation WHERE account_id = p_account AND reservation_id = p_reservation;
    END IF;
    spent := CASE WHEN r.state = 'held' THEN p_amount ELSE greatest(0, p_amount - r.amount) END;
    UPDATE spending SET day_spent = day_spent + spent, month_spent = month_spent + spent,
        reserved = reserved - CASE WHEN r.state = 'held' THEN r.amount ELSE 0 END,
        calls_up = calls_up - (r.state = 'held' AND r.kind <> 'message')::int
    WHERE account_id = p_account;
    IF p_is_short AND s.suspended_at IS NULL AND governance.suspect(p_account, p_at, 0, 0, 1) THEN
        RETURN 'suspended-now';
    END IF;
    RETURN 'settled';
END $$;

-- Count something that is over already (speech that was made): 'held' when the caps allow it.
CREATE FUNCTION governance.spend(p_account uuid, p_at timestamptz, p_amount bigint) RETURNS text
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
DECLARE
    s governance.spending := governance.turn(p_account, p_at);
    outcome text := governance.hold(s.account_id, p_at, p_amount);
BEGIN
    IF outcome = 'held' THEN
        UPDATE spending SET reserved = reserved - p_amount, day_spent = day_spent + p_amount,
            month_spent = month_spent + p_amount WHERE account_id = p_account;
    END IF;
    RETURN outcome;
END $$;

-- A reservation whose call died with its process: its place is free again, and its amount counts as spent, because
-- nobody can say how long it lasted. For the worker, a batch at a time.
CREATE FUNCTION governance.lapse(p_at timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
DECLARE
    r record;
    lapsed integer := 0;
BEGIN
    FOR r IN SELECT account_id, reservation_id FROM reservation
             WHERE state = 'held' AND expires_at < p_at ORDER BY account_id, reservation_id LIMIT p_limit LOOP
        PERFORM FROM spending WHERE account_id = r.account_id FOR UPDATE;
        WITH gone AS (
            UPDATE reservation SET state = 'lapsed' WHERE account_id = r.account_id
              AND reservation_id = r.reservation_id AND state = 'held' AND expires_at < p_at RETURNING amount, kind
        ) UPDATE spending SET reserved = reserved - gone.amount, day_spent = day_spent + gone.amount,
              month_spent = month_spent + gone.amount, calls_up = calls_up - (gone.kind <> 'message')::int
          FROM gone WHERE account_id = r.account_id;
        lapsed := lapsed + 1;
    END LOOP;
    RETURN lapsed;
END $$;

REVOKE ALL ON FUNCTION governance.destination_rules, governance.spending_at, governance.turn, governance.suspect,
    governance.hold, governance.admit, governance.count_refused, governance.extend, governance.settle,
    governance.spend, governance.lapse FROM PUBLIC;
GRANT EXECUTE ON FUNCTION governance.destination_rules, governance.spending_at, governance.turn, governance.suspect,
    governance.hold, governance.admit, governance.count_refused, governance.extend, governance.settle,
    governance.spend TO sealwire_service;
GRANT EXECUTE ON FUNCTION governance.lapse TO sealwire_worker;
