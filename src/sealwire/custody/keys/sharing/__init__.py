"""Two of two for one account: half of what opens it lives on a holder that the customer runs."""
