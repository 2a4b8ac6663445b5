"""Backups: taken at one instant, restored into an empty place, the index rebuilt."""
