"""Sealing: contexts, envelopes, streams, and the sealer that spends leased slots."""
