"""Reports: extracts of records that are made in the background and fetched when they are ready."""
