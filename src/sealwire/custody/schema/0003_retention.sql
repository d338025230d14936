-- How long records of a category and retention class are kept. Nothing else dates a record: it is due on its day plus
-- these days, so a change counts for what is kept already. `told_days` is what the keeper knows; until it knows better,
-- nothing of the class expires.
CREATE TABLE custody.retention_period (
    account_id uuid NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL CHECK (retention_class BETWEEN 0 AND 15),
    days integer NOT NULL CHECK (days BETWEEN 0 AND 40000),
    told_days integer,
    instruction_id uuid,
    changed_day integer NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, category, retention_class)
);

-- When the worker last let days of an account go, and what it had to catch up with: for the doctor.
CREATE TABLE custody.expiry (
    account_id uuid PRIMARY KEY,
    ran_at timestamptz NOT NULL,
    days integer NOT NULL,
    missed_days integer NOT NULL DEFAULT 0,
    missed_at timestamptz
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['retention_period', 'expiry'] LOOP
        EXECUTE format('ALTER TABLE custody.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE custody.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON custody.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
    END LOOP;
END $$;
CREATE POLICY worker_sees_periods ON custody.retention_period FOR SELECT TO sealwire_worker USING (true);
CREATE POLICY worker_sees_expiry ON custody.expiry FOR SELECT TO sealwire_worker USING (true);
GRANT SELECT, INSERT, UPDATE ON custody.retention_period TO sealwire_service;
GRANT SELECT, UPDATE (told_days) ON custody.retention_period TO sealwire_worker;
GRANT SELECT, INSERT, UPDATE ON custody.expiry TO sealwire_worker;
GRANT SELECT ON custody.expiry TO sealwire_service;

ALTER TABLE custody.passed DROP COLUMN due_day;
ALTER TABLE custody.media_begun DROP COLUMN due_day;
