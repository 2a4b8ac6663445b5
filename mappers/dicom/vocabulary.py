"""Words of DICOM beside those of FHIR: classes, coding schemes, sides.

DICOM PS3.6, PS3.16 section 8; https://hl7.org/fhir/R4/terminologies-systems.html
"""

from mappers.mapping.json_text import Json

PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
SNOMED = "http://snomed.info/sct"
SCHEMES = {"SCT": SNOMED, "DCM": "http://dicom.nema.org/resources/ontology/DCM", "LN": "http://loinc.org"}
DESIGNATORS = {system: designator for designator, system in SCHEMES.items()}
LATERALITY: dict[str, Json] = {
    "L": {"system": SNOMED, "code": "7771000", "display": "Left"},
    "R": {"system": SNOMED, "code": "24028007", "display": "Right"},
    "B": {"system": SNOMED, "code": "51440002", "display": "Right and left"},
    "U": {"system": SNOMED, "code": "66459002", "display": "Unilateral"},
}
SIDES = {side["code"]: letter for letter, side in LATERALITY.items()}
