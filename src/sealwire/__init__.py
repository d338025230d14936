"""Sealwire: a communications cloud whose promises about personal data can be checked."""

__version__ = "0.1.0.dev0"
