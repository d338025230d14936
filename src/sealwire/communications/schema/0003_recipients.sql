-- Public keys of customers to which recordings are sealed. Public configuration: nothing here opens anything.
CREATE SCHEMA IF NOT EXISTS communications;
GRANT USAGE ON SCHEMA communications TO sealwire_service;

CREATE TABLE communications.recipient (
    account_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    public_key text NOT NULL CHECK (length(public_key) BETWEEN 40 AND 200),
    label text NOT NULL CHECK (length(label) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    retired_at timestamptz,
    PRIMARY KEY (account_id, recipient_id)
);
CREATE UNIQUE INDEX recipient_is_used_once ON communications.recipient (account_id, public_key)
    WHERE retired_at IS NULL;

ALTER TABLE communications.recipient ENABLE ROW LEVEL SECURITY;
ALTER TABLE communications.recipient FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON communications.recipient
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE (retired_at) ON communications.recipient TO sealwire_service;
