"""What a customer's own logic may do with a call: the verbs, and the two ways to say them (pages and programs)."""
