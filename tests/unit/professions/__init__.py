"""professions."""
