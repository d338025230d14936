-- What became of what data subjects asked for: states, dates and counts. Who asked for what is a record (category 13).
CREATE TABLE custody.request_state (
    account_id uuid NOT NULL,
    request_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('access', 'portability', 'rectification', 'erasure', 'restriction', 'objection')),
    state text NOT NULL CHECK (state IN ('received', 'identity-doubt', 'in-progress', 'extended', 'done', 'refused')),
    asked_by uuid NOT NULL,
    received_at timestamptz NOT NULL,
    due_on date NOT NULL,
    doubted_on date,
    extended_for text CHECK (extended_for IN ('complexity', 'number-of-requests')),
    refused_for text CHECK (refused_for IN
        ('manifestly-unfounded', 'excessive', 'identity-not-shown', 'not-held', 'overriding-grounds', 'legal-obligation')),
    closed_at timestamptz,
    answered_at timestamptz,
    counts jsonb NOT NULL DEFAULT '{}',
    erasures uuid[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (account_id, request_id)
);
CREATE INDEX request_state_by_receipt ON custody.request_state (account_id, received_at DESC, request_id DESC);
CREATE INDEX request_state_open ON custody.request_state (account_id, due_on) WHERE closed_at IS NULL;

-- Records that were sealed anew without a person, or with a corrected field: the row of the record has its new slot since
-- the same transaction, and this row says which old key the eraser has to destroy. No tokens here: this is in backups.
CREATE TABLE custody.resealing (
    account_id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    record_id uuid NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    slot integer NOT NULL,
    commitment bytea NOT NULL,
    index_partition text,
    PRIMARY KEY (account_id, erasure_id, record_id)
);

-- A number of a hundred thousand records is read page by page, each from where the last one ended.
CREATE INDEX blind_index_by_token_and_record ON custody.blind_index (account_id, token, record_id);
DROP INDEX custody.blind_index_by_token;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['request_state', 'resealing'] LOOP
        EXECUTE format('ALTER TABLE custody.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE custody.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own_account ON custody.%I
            USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid)$p$, name);
    END LOOP;
END $$;
GRANT SELECT, INSERT ON custody.request_state, custody.resealing TO sealwire_service;
GRANT UPDATE (state, due_on, doubted_on, extended_for, refused_for, closed_at, answered_at, counts, erasures)
    ON custody.request_state TO sealwire_service;
GRANT SELECT ON custody.resealing TO sealwire_worker;
GRANT SELECT, DELETE ON custody.request_state TO sealwire_worker;
