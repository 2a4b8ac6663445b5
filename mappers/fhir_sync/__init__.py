"""Another FHIR server beside ours: what of a resource goes which way. Pure; the runtime around it reads and writes."""
