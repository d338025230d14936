"""The demo: one real round, from ring to verified erasure, each step shown as it happens."""
