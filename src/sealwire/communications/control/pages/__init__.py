"""Call control by REST pages: the customer's own web pages are asked what to do with a call."""
