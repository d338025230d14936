-- A message is kept in the retention class of the service it goes through, or in the one its account says for messages.
ALTER TABLE communications.message_settings
    ADD COLUMN retention_class smallint NOT NULL DEFAULT 0 CHECK (retention_class BETWEEN 0 AND 15);

-- The class of what is sent from, or comes to, one of the account's numbers; of a name, the account's own.
CREATE FUNCTION communications.message_class(p_account uuid, p_number text) RETURNS smallint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT s.retention_class FROM governance.number n JOIN governance.service s USING (account_id, service_id)
         WHERE n.account_id = p_account AND n.number = p_number),
        (SELECT m.retention_class FROM communications.message_settings m WHERE m.account_id = p_account), 0::smallint)
$$;

DROP FUNCTION communications.message_terms;
CREATE FUNCTION communications.message_terms(p_account uuid, p_sender text, p_service uuid) RETURNS jsonb
LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
DECLARE
    v_sender text;
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    v_sender := CASE
        WHEN p_sender IS NULL THEN (SELECT number FROM governance.number WHERE account_id = p_account
                                    ORDER BY assigned_at, number LIMIT 1)
        WHEN EXISTS (SELECT FROM governance.number WHERE account_id = p_account AND number = p_sender)
          OR EXISTS (SELECT FROM communications.sender_name WHERE account_id = p_account AND name = p_sender)
        THEN p_sender END;
    RETURN jsonb_build_object(
        'redaction', coalesce((SELECT redaction FROM communications.message_settings WHERE account_id = p_account), 'keep'),
        'opt_outs', coalesce((SELECT version FROM communications.opt_out_change WHERE account_id = p_account), 0),
        'sender', v_sender,
        'retention_class', CASE
            WHEN p_service IS NULL THEN communications.message_class(p_account, v_sender)
            ELSE (SELECT retention_class FROM governance.service WHERE account_id = p_account AND service_id = p_service)
        END
    );
END $$;

REVOKE ALL ON FUNCTION communications.message_terms, communications.message_class FROM PUBLIC;
GRANT EXECUTE ON FUNCTION communications.message_terms, communications.message_class TO sealwire_service;
