"""Backups: made, verified, drilled. Their content is ciphertext and can bring nothing erased back."""
