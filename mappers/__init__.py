"""Booking and EHR formats to FHIR and back: a client of the server, sharing no code with it."""
