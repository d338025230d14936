"""Closing an account: grace, one puncture, unreadable within a minute, removed, gone from backups, certified."""
