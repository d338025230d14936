-- Reports: what was asked for and how far it has come. What is in a report is in custody, not here.
CREATE TABLE communications.report (
    account_id uuid NOT NULL REFERENCES governance.account,
    report_id uuid NOT NULL,
    of text NOT NULL,
    format text NOT NULL CHECK (format IN ('csv', 'json')),
    begins timestamptz NOT NULL,
    ends timestamptz NOT NULL,
    with_content boolean NOT NULL,
    purpose text,
    credential_id uuid NOT NULL,
    asked_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'ready', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    rows_in_all bigint,
    rows_written bigint NOT NULL DEFAULT 0,
    failure text,
    record_id uuid,
    ended_at timestamptz,
    expires_on date,
    PRIMARY KEY (account_id, report_id),
    CHECK (NOT with_content OR purpose IS NOT NULL)
);
CREATE INDEX report_unfinished ON communications.report (asked_at) WHERE state IN ('queued', 'running');
ALTER TABLE communications.report ENABLE ROW LEVEL SECURITY;
ALTER TABLE communications.report FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON communications.report
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
CREATE POLICY worker_forgets_reports ON communications.report TO sealwire_worker USING (true);
GRANT SELECT, INSERT, UPDATE (state, attempts, rows_in_all, rows_written, failure, record_id, ended_at, expires_on)
    ON communications.report TO sealwire_service;
GRANT SELECT (ended_at), DELETE ON communications.report TO sealwire_worker;

-- Which reports are to be made, before any account is known: the oldest of each account first, so that one that asks
-- for many holds up no other. Those cut off by a crash are among them.
CREATE FUNCTION communications.reports_to_make() RETURNS TABLE (account_id uuid, report_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = communications, pg_temp AS $$
    SELECT r.account_id, r.report_id FROM communications.report r WHERE r.state IN ('queued', 'running')
    ORDER BY row_number() OVER (PARTITION BY r.account_id ORDER BY r.asked_at), r.asked_at LIMIT 100
$$;
REVOKE ALL ON FUNCTION communications.reports_to_make FROM PUBLIC;
GRANT EXECUTE ON FUNCTION communications.reports_to_make TO sealwire_service;
