"""Looking for what should be gone: the byte sweep with its positive control, and the attacker who has everything."""
