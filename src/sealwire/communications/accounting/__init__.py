"""What calls and messages cost: rated from the tariff, kept apart from who took part."""
