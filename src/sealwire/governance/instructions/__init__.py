"""Signed instructions of a customer: words it can be held to, and that we can show (GDPR Art. 28(3)(a))."""
