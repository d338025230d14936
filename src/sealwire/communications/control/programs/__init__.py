"""Calls driven by a customer's own program, which connects to us and is told of its calls."""
