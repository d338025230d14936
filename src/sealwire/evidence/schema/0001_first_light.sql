-- The evidence log of each account. Tables here hold opaque ids, hashes, sealed payloads and nothing personal.
CREATE SCHEMA evidence;
GRANT USAGE ON SCHEMA evidence TO sealwire_service, sealwire_sequencer, sealwire_worker;

-- Written in the same transaction as the act; drained by the sequencer.
CREATE TABLE evidence.kept_outbox (
    account_id uuid NOT NULL,
    posted bigint GENERATED ALWAYS AS IDENTITY,
    record_id uuid NOT NULL,
    category smallint NOT NULL,
    commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
    PRIMARY KEY (account_id, posted)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX kept_outbox_in_order ON evidence.kept_outbox (posted);

CREATE TABLE evidence.event_outbox (
    account_id uuid NOT NULL,
    posted bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL,
    leaf_class smallint NOT NULL
        CONSTRAINT posted_class CHECK (leaf_class BETWEEN 1 AND 17 AND leaf_class NOT IN (5, 9, 10)),
    payload bytea NOT NULL,
    mentions uuid[] NOT NULL,
    PRIMARY KEY (account_id, posted),
    UNIQUE (account_id, event_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX event_outbox_in_order ON evidence.event_outbox (posted);

-- Rows of event_outbox of which no leaf can be made, put aside so that they hold up nobody. Somebody has to look.
CREATE TABLE evidence.quarantine (
    account_id uuid NOT NULL,
    posted bigint NOT NULL,
    leaf_class smallint NOT NULL,
    payload bytea NOT NULL,
    mentions uuid[] NOT NULL,
    PRIMARY KEY (account_id, posted)
);

-- size, root and frontier are what the tables hold; signed_size and checkpoint what the world was told.
CREATE TABLE evidence.head (
    account_id uuid PRIMARY KEY,
    origin text NOT NULL UNIQUE,
    vkey text NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    frontier bytea NOT NULL,
    signed_size bigint NOT NULL DEFAULT 0 CHECK (signed_size <= size),
    checkpoint bytea
) WITH (fillfactor = 60);

CREATE TABLE evidence.leaf_entry (
    account_id uuid NOT NULL,
    idx bigint NOT NULL,
    leaf bytea NOT NULL,
    PRIMARY KEY (account_id, idx)
);

CREATE TABLE evidence.tile (
    account_id uuid NOT NULL,
    level smallint NOT NULL,
    n bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (account_id, level, n)
) WITH (fillfactor = 60);
ALTER TABLE evidence.tile ALTER COLUMN hashes SET STORAGE EXTERNAL; -- hashes do not compress

-- salt || payload, sealed under a leaf of the key tree; when that is punctured the log's proofs still verify.
CREATE TABLE evidence.payload (
    account_id uuid NOT NULL,
    idx bigint NOT NULL,
    day integer NOT NULL,
    slot integer NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (account_id, idx)
);

-- What a batch leaf needs for its own proofs: one commitment per record, already salted by that record's own key.
CREATE TABLE evidence.kept_batch (
    account_id uuid NOT NULL,
    idx bigint NOT NULL,
    salt bytea NOT NULL,
    payload bytea NOT NULL,
    record_ids uuid[] NOT NULL,
    commitments bytea NOT NULL,
    PRIMARY KEY (account_id, idx)
);

-- Statements that a certificate repeats in the open.
CREATE TABLE evidence.statement (
    account_id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    leaf_class smallint NOT NULL,
    idx bigint NOT NULL,
    salt bytea NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (account_id, erasure_id, leaf_class, idx)
);

CREATE TABLE evidence.mention (
    account_id uuid NOT NULL,
    record_id uuid NOT NULL,
    idx bigint NOT NULL,
    PRIMARY KEY (account_id, record_id, idx)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['kept_outbox', 'event_outbox', 'quarantine', 'head', 'leaf_entry', 'tile', 'payload',
                                'kept_batch', 'statement', 'mention'] LOOP
        EXECUTE format('ALTER TABLE evidence.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE evidence.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON evidence.%I TO sealwire_service, sealwire_worker
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
        EXECUTE format('CREATE POLICY sequencer_writes_logs ON evidence.%I TO sealwire_sequencer USING (true)', name);
    END LOOP;
END $$;

GRANT INSERT ON evidence.kept_outbox, evidence.event_outbox TO sealwire_service, sealwire_worker;
GRANT SELECT ON evidence.head, evidence.leaf_entry, evidence.tile, evidence.payload, evidence.kept_batch,
    evidence.statement, evidence.mention TO sealwire_service, sealwire_worker;
GRANT SELECT, DELETE ON evidence.kept_outbox, evidence.event_outbox TO sealwire_sequencer;
GRANT SELECT, INSERT ON evidence.quarantine, evidence.leaf_entry, evidence.payload, evidence.kept_batch,
    evidence.statement, evidence.mention TO sealwire_sequencer;
GRANT SELECT, INSERT, UPDATE ON evidence.head, evidence.tile TO sealwire_sequencer;
