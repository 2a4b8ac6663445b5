"""Booking systems, one folder each: none knows another. Pure."""
