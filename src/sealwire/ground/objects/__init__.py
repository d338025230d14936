"""Where ciphertext too large for a row lies: a local folder now, any S3 behind the same interface later."""
