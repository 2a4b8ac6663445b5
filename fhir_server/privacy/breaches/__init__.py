"""Breaches of personal data: the record, its clock, how far they reach, and who is told."""
