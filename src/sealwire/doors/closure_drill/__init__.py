"""`sealwire closure --drill`: accounts with something of everything, one of them closed, and what is left of it."""
