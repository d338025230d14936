"""Build on Sealwire. `uas` drives calls, `sealing` encrypts and decrypts on your side, `webhooks` checks events."""

__version__ = "0.1.0.dev0"
