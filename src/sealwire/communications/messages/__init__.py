"""Messages in and out over SMPP 3.4."""
