"""What every mapper is made of: the message, the mapping that comes of it, and builders of FHIR. Pure."""
