"""The forms that patients sign: FHIR Questionnaires, one file per form and language."""
