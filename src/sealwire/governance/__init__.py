"""Who may instruct and who may look: accounts, agreements, credentials, purposes."""
