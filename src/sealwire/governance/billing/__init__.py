"""What things cost: the tariff, how it is loaded and what it refuses, and how use is rated by it."""
