"""A second opinion on search: written from R4's text, slow and plain, and knowing nothing of `fhir_server.search`."""
