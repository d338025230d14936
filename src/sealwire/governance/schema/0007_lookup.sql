-- Every request asks whose credential it brings: by the hash of a secret, so the plan of the first is as good for all
-- others, and making one anew each time took longer than the look-up.
ALTER FUNCTION governance.find_credential(bytea, inet, timestamptz) SET plan_cache_mode = auto;
