"""Keepers that forget badly, one fault each. They exist so that the attacker can be seen to catch them."""
