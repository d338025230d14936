"""The commands of `sealwire`, one module each; `doors.cli` finds them here."""
