"""How personal data is held: sealed when it comes in, opened for a purpose, erased when due or asked."""
