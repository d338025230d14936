"""The web services API: HTTPS only, one file per resource, and its own reference page."""
