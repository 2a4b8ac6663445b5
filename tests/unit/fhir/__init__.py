"""Unit tests of the FHIR definitions and of validation on them."""
