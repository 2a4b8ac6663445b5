"""HL7 v2: messages read tolerantly, what they say as FHIR, answers, and appointments sent. Pure."""
