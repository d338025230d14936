"""Checks Sealwire's certificates and logs offline, against keys the auditor pinned. Trusts nothing of the service."""

__version__ = "0.1.0.dev0"
