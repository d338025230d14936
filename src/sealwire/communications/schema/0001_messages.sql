-- The queue of messages and what became of each. Ids, states, times: numbers and texts are records in custody.
CREATE SCHEMA IF NOT EXISTS communications;
GRANT USAGE ON SCHEMA communications TO sealwire_service, sealwire_worker;

-- `told` is how much of it webhooks were told: 0 nothing, 1 that it was sent, 2 its end. `contents` are the content's
-- records in order. When `redaction` is not 'keep', records go to the eraser after the end; `redacted_at` says when.
-- `reservation` is money set aside for the message until what it cost is settled.
CREATE TABLE communications.message (
    account_id uuid NOT NULL,
    message_id uuid NOT NULL,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    state text NOT NULL CHECK (state IN
        ('accepted', 'sending', 'sent', 'delivered', 'failed', 'expired', 'unconfirmed', 'received')),
    redaction text NOT NULL CHECK (redaction IN ('keep', 'content', 'all')),
    contents uuid[] NOT NULL,
    segments smallint NOT NULL,
    segments_missing smallint NOT NULL DEFAULT 0,
    accepted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    final_at timestamptz,
    error integer NOT NULL DEFAULT 0,
    told smallint NOT NULL DEFAULT 0,
    redacted_at timestamptz,
    reservation uuid,
    PRIMARY KEY (account_id, message_id)
);
CREATE INDEX message_unsettled ON communications.message (account_id)
    WHERE reservation IS NOT NULL AND state NOT IN ('accepted', 'sending');
CREATE INDEX message_due ON communications.message (due_at) WHERE state = 'accepted';
CREATE INDEX message_under_way ON communications.message (account_id) WHERE state = 'sending';
CREATE INDEX message_unconfirmed ON communications.message (expires_at) WHERE state = 'sent';
CREATE INDEX message_untold ON communications.message (account_id)
    WHERE (told < 2 AND final_at IS NOT NULL) OR (told < 1 AND sent_at IS NOT NULL);
CREATE INDEX message_to_redact ON communications.message (account_id)
    WHERE redaction <> 'keep' AND final_at IS NOT NULL AND redacted_at IS NULL;
CREATE INDEX message_old ON communications.message (accepted_at);

-- What a receipt names, from the answer of the message centre to the end of the message.
CREATE TABLE communications.message_segment (
    account_id uuid NOT NULL,
    message_id uuid NOT NULL,
    segment smallint NOT NULL,
    centre_id text NOT NULL,
    outcome text CHECK (outcome IN ('delivered', 'failed', 'expired')),
    PRIMARY KEY (account_id, message_id, segment)
);
CREATE INDEX message_segment_by_centre_id ON communications.message_segment (centre_id);

-- Segments of a message to us that wait for the others; what they say is kept already.
CREATE TABLE communications.message_part (
    account_id uuid NOT NULL,
    message_id uuid NOT NULL,
    part smallint NOT NULL,
    total smallint NOT NULL,
    reference integer NOT NULL,
    record_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, message_id, part)
);

-- How an account wants its messages treated. Configuration: words and replies, nobody's number.
CREATE TABLE communications.message_settings (
    account_id uuid PRIMARY KEY,
    redaction text NOT NULL CHECK (redaction IN ('keep', 'content', 'all')),
    stop_words text[] NOT NULL,
    start_words text[] NOT NULL,
    help_words text[] NOT NULL,
    stop_reply text NOT NULL,
    start_reply text NOT NULL,
    help_reply text NOT NULL,
    changed_at timestamptz NOT NULL
);

-- Names in place of a number, which the operator allows an account to send under.
CREATE TABLE communications.sender_name (
    account_id uuid NOT NULL,
    name text NOT NULL CHECK (name ~ '^[A-Za-z0-9 ._-]{1,11}$'),
    allowed_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, name)
);

-- Raised with every opt-out that is kept or erased through the API, so that every process looks again.
CREATE TABLE communications.opt_out_change (
    account_id uuid PRIMARY KEY,
    version bigint NOT NULL
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['message', 'message_segment', 'message_part', 'message_settings', 'sender_name',
                                'opt_out_change'] LOOP
        EXECUTE format('ALTER TABLE communications.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE communications.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON communications.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON communications.message, communications.message_segment,
    communications.message_part TO sealwire_service;
GRANT SELECT, INSERT, UPDATE ON communications.message_settings, communications.opt_out_change TO sealwire_service;
GRANT SELECT, INSERT ON communications.sender_name TO sealwire_service;

-- All that has to be known before a message is accepted, in one round trip: what goes after delivery, the sender it may
-- go under (null: none), and as of when opt-outs have to be known.
CREATE FUNCTION communications.message_terms(p_account uuid, p_sender text) RETURNS jsonb
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    RETURN jsonb_build_object(
        'redaction', coalesce((SELECT redaction FROM communications.message_settings WHERE account_id = p_account), 'keep'),
        'opt_outs', coalesce((SELECT version FROM communications.opt_out_change WHERE account_id = p_account), 0),
        'sender', CASE
            WHEN p_sender IS NULL THEN (SELECT number FROM governance.number WHERE account_id = p_account
                                        ORDER BY assigned_at, number LIMIT 1)
            WHEN EXISTS (SELECT FROM governance.number WHERE account_id = p_account AND number = p_sender)
              OR EXISTS (SELECT FROM communications.sender_name WHERE account_id = p_account AND name = p_sender)
            THEN p_sender END
    );
END $$;

-- Into the queue, and the messenger is woken, in one transaction and one round trip.
CREATE FUNCTION communications.enqueue_message(
    p_account uuid, p_message uuid, p_redaction text, p_content uuid, p_segments smallint, p_accepted_at timestamptz,
    p_expires_at timestamptz, p_reservation uuid
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    INSERT INTO communications.message
        (account_id, message_id, direction, state, redaction, contents, segments, accepted_at, expires_at, due_at,
         reservation)
    VALUES (p_account, p_message, 'out', 'accepted', p_redaction, ARRAY[p_content], p_segments, p_accepted_at,
            p_expires_at, p_accepted_at, p_reservation);
    PERFORM pg_notify('sealwire_message', '');
END $$;

-- Which accounts have something for the messenger to do; it then works as each of them. Ids only.
CREATE FUNCTION communications.accounts_with_messages(what text, at timestamptz)
RETURNS TABLE (account_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = communications, pg_temp AS $$
    SELECT DISTINCT m.account_id FROM message m WHERE what = 'due' AND m.state = 'accepted' AND m.due_at <= at
    UNION ALL
    SELECT DISTINCT m.account_id FROM message m WHERE what = 'under-way' AND m.state = 'sending'
    UNION ALL
    SELECT DISTINCT m.account_id FROM message m WHERE what = 'unconfirmed' AND m.state = 'sent' AND m.expires_at <= at
    UNION ALL
    SELECT DISTINCT m.account_id FROM message m
    WHERE what = 'untold' AND ((m.told < 2 AND m.final_at IS NOT NULL) OR (m.told < 1 AND m.sent_at IS NOT NULL))
    UNION ALL
    SELECT DISTINCT m.account_id FROM message m
    WHERE what = 'to-redact' AND m.redaction <> 'keep' AND m.final_at IS NOT NULL AND m.redacted_at IS NULL
        AND m.reservation IS NULL
    UNION ALL
    SELECT DISTINCT m.account_id FROM message m
    WHERE what = 'unsettled' AND m.reservation IS NOT NULL AND m.state NOT IN ('accepted', 'sending')
    UNION ALL
    SELECT DISTINCT m.account_id FROM message m WHERE what = 'old' AND m.accepted_at < at
    UNION ALL
    SELECT DISTINCT p.account_id FROM message_part p WHERE what = 'waiting-parts'
$$;

-- Whose segments receipts are about, before any account is known.
CREATE FUNCTION communications.segments_of_receipts(centre_ids text[])
RETURNS TABLE (centre_id text, account_id uuid, message_id uuid, segment smallint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = communications, pg_temp AS $$
    SELECT s.centre_id, s.account_id, s.message_id, s.segment FROM message_segment s WHERE s.centre_id = ANY(centre_ids)
$$;

REVOKE ALL ON FUNCTION communications.accounts_with_messages, communications.segments_of_receipts,
    communications.message_terms, communications.enqueue_message FROM PUBLIC;
GRANT EXECUTE ON FUNCTION communications.accounts_with_messages, communications.segments_of_receipts,
    communications.message_terms, communications.enqueue_message TO sealwire_service;
