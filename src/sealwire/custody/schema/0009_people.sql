-- What an erasure by number did to what it found, counted by category: ids and numbers of records, nobody's number.
ALTER TABLE custody.erasure ADD COLUMN counts jsonb;
GRANT UPDATE (counts) ON custody.erasure TO sealwire_service;

-- Who received data of a person and is told what became of it: kinds and ids of recipients, and of the event that tells.
CREATE TABLE custody.notice (
    account_id uuid NOT NULL,
    request_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('trunk', 'webhook-endpoint', 'program', 'the-message-centre', 'export')),
    recipient_id uuid NOT NULL,
    delivery_id uuid,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, request_id, kind, recipient_id)
);
ALTER TABLE custody.notice ENABLE ROW LEVEL SECURITY;
ALTER TABLE custody.notice FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON custody.notice USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT SELECT, INSERT ON custody.notice TO sealwire_service;
GRANT MAINTAIN ON custody.notice TO sealwire_worker;
