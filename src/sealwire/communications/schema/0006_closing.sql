-- Nothing is sent, told or made for an account that is closed; its rows go with the rest of it.
CREATE OR REPLACE FUNCTION communications.accounts_with_messages(what text, at timestamptz)
RETURNS TABLE (account_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = communications, pg_temp AS $$
    SELECT found.account_id FROM (
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
    ) AS found JOIN governance.account a USING (account_id)
    WHERE (a.closed_at IS NULL AND (a.closes_at IS NULL OR a.closes_at > at)) OR what = 'unsettled'
$$;

CREATE OR REPLACE FUNCTION communications.reports_to_make() RETURNS TABLE (account_id uuid, report_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = communications, pg_temp AS $$
    SELECT r.account_id, r.report_id FROM communications.report r JOIN governance.account a USING (account_id)
    WHERE r.state IN ('queued', 'running') AND a.closed_at IS NULL
    ORDER BY row_number() OVER (PARTITION BY r.account_id ORDER BY r.asked_at), r.asked_at LIMIT 100
$$;

-- What a closure leaves behind in a table's files goes when the table is written anew, which the worker does.
DO $$
DECLARE wanted regclass;
BEGIN
    FOR wanted IN
        SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id' AND NOT a.attisdropped
        WHERE c.relkind = 'r' AND NOT c.relispartition AND n.nspname IN ('governance', 'communications', 'custody', 'evidence')
    LOOP
        EXECUTE format('GRANT MAINTAIN ON %s TO sealwire_worker', wanted);
    END LOOP;
END $$;
