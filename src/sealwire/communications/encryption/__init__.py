"""Encryption to the customer: audio sealed so that the operator cannot open it, and what customers bring encrypted."""
