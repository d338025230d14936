-- Records whose person was erased while the rest of them stays (the amounts of a bill): the sealed part is unreadable
-- from the request on and removed by the eraser, the plain columns are as they were.
CREATE TABLE custody.detached (
    account_id uuid NOT NULL,
    record_id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    category smallint NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    slot integer NOT NULL,
    commitment bytea NOT NULL,
    PRIMARY KEY (account_id, record_id)
);
CREATE INDEX detached_by_erasure ON custody.detached (account_id, erasure_id);
ALTER TABLE custody.detached ENABLE ROW LEVEL SECURITY;
ALTER TABLE custody.detached FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON custody.detached
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT SELECT, INSERT ON custody.detached TO sealwire_service;
GRANT SELECT ON custody.detached TO sealwire_worker;
