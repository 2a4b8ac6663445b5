"""A FHIR R4 server for aesthetic clinics."""
