"""Client certificates of customers' programs: issued from a request, listed, renewed, revoked."""
