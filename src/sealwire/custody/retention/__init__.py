"""How long what is kept is kept: the operator's bounds, the customer's choice, what a change would take, and expiry."""
