"""What holds the house up: PostgreSQL, objects, clock, wire, diagnostics."""
