"""Unit tests of JSON Patch and FHIRPath Patch."""
