-- Every message and every leg passes through these. Each looks by a key of its own, so the plan of the first is as good
-- for all others, and making them anew each time took longer than the work. What they call is planned as they are.
ALTER FUNCTION governance.destination_rules(uuid, text) SET plan_cache_mode = auto;
ALTER FUNCTION governance.count_refused(uuid, boolean, timestamptz) SET plan_cache_mode = auto;
ALTER FUNCTION governance.extend(uuid, uuid, timestamptz, timestamptz, bigint) SET plan_cache_mode = auto;
ALTER FUNCTION governance.settle(uuid, uuid, timestamptz, bigint, boolean, double precision, boolean)
    SET plan_cache_mode = auto;
ALTER FUNCTION governance.spend(uuid, timestamptz, bigint) SET plan_cache_mode = auto;

-- As before: the account's row, locked, with its windows turned to this moment. It is written only when one did turn.
CREATE OR REPLACE FUNCTION governance.spending_at(p_account uuid, p_at timestamptz) RETURNS governance.spending
LANGUAGE plpgsql SET search_path = governance, pg_temp AS $$
DECLARE
    s governance.spending;
    at_utc timestamp := p_at AT TIME ZONE 'UTC';
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    SELECT * INTO s FROM spending WHERE account_id = p_account FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        INSERT INTO spending (account_id, day, month, second, minute)
        VALUES (p_account, at_utc::date, date_trunc('month', at_utc)::date, p_at, p_at) ON CONFLICT DO NOTHING;
        SELECT * INTO s FROM spending WHERE account_id = p_account FOR NO KEY UPDATE;
    END IF;
    IF s.day = at_utc::date AND s.month = date_trunc('month', at_utc)::date
       AND p_at < s.second + interval '1 second' AND p_at < s.minute + interval '1 minute' THEN
        RETURN s;
    END IF;
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

-- As before; a message is no call, so nothing but its amount is counted.
CREATE OR REPLACE FUNCTION governance.admit(
    p_account uuid, p_reservation uuid, p_kind text, p_is_premium boolean, p_at timestamptz, p_expires_at timestamptz,
    p_amount bigint, p_terms jsonb, p_call uuid
) RETURNS text LANGUAGE plpgsql SET search_path = governance, pg_temp SET plan_cache_mode = auto AS $$
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
    IF p_kind <> 'message' THEN
        UPDATE spending SET setups = setups + (p_kind = 'outbound')::int, calls_up = calls_up + 1
        WHERE account_id = p_account;
    END IF;
    INSERT INTO reservation (account_id, reservation_id, kind, amount, terms, call_id, made_at, expires_at)
    VALUES (p_account, p_reservation, p_kind, p_amount, p_terms, p_call, p_at, p_expires_at);
    RETURN 'held';
END $$;
