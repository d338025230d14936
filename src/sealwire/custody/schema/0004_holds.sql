-- Holds: a legal hold keeps what would go, a restriction (GDPR Art. 18) also refuses to open it. Never a flag on a record:
-- who, why (a word of a list, and a case's own reference), until when, and which places of the key tree are held. The
-- keeper has the same and obeys its own; these rows are for finding, listing and saying so.
CREATE TABLE custody.hold (
    account_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('legal-hold', 'restriction')),
    reason text NOT NULL,
    reference text CHECK (length(reference) BETWEEN 1 AND 64),
    until_day integer NOT NULL CHECK (until_day BETWEEN 0 AND 65535),
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('placing', 'in-force', 'releasing', 'released')),
    records integer NOT NULL DEFAULT 0,
    days integer NOT NULL DEFAULT 0,
    released_by text,
    released_at timestamptz,
    released_because text CHECK (released_because IN ('ended', 'withdrawn', 'ordered', 'settled', 'nothing-left')),
    PRIMARY KEY (account_id, hold_id),
    CHECK ((state IN ('releasing', 'released')) = (released_at IS NOT NULL AND released_because IS NOT NULL))
);
CREATE INDEX hold_by_time ON custody.hold (account_id, placed_at DESC, hold_id DESC);
CREATE INDEX hold_to_move ON custody.hold (state, until_day) WHERE state <> 'released';

-- One held place: a record in its slot, or a whole day (slot and record are null).
CREATE TABLE custody.held (
    account_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    slot integer,
    record_id uuid,
    restricts boolean NOT NULL,
    FOREIGN KEY (account_id, hold_id) REFERENCES custody.hold,
    CHECK ((slot IS NULL) = (record_id IS NULL)),
    UNIQUE NULLS NOT DISTINCT (account_id, hold_id, category, retention_class, day, slot)
);
CREATE INDEX held_by_record ON custody.held (account_id, record_id);
CREATE INDEX held_by_day ON custody.held (account_id, category, retention_class, day) WHERE record_id IS NULL;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['hold', 'held'] LOOP
        EXECUTE format('ALTER TABLE custody.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE custody.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON custody.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
    END LOOP;
END $$;
CREATE POLICY worker_sees_holds ON custody.hold FOR SELECT TO sealwire_worker USING (true);
GRANT SELECT, INSERT, UPDATE ON custody.hold TO sealwire_service;
GRANT SELECT, UPDATE ON custody.hold TO sealwire_worker;
GRANT SELECT, INSERT, DELETE ON custody.held TO sealwire_service;
GRANT SELECT, DELETE ON custody.held TO sealwire_worker;
