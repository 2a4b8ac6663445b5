"""What the European Health Data Space wants told of each access and BALP has no slot for: category and origin of data.

Regulation (EU) 2025/327 Annex II 3.2 (R-EHDS-001, -002); they lie in the details of the patient's entity.
"""

from collections.abc import Mapping
from functools import lru_cache

from fhir_server.audit.agents import Organization, text

_LOINC = "http://loinc.org|"
_TYPES = "http://hl7.org/fhir/resource-types|"
_PRIORITY: Mapping[str, str] = {
    "Bundle": "60591-5",
    "Composition": "60591-5",
    "MedicationRequest": "57833-6",
    "MedicationDispense": "60593-1",
    "DiagnosticReport": "11502-2",
    "Specimen": "11502-2",
    "ImagingStudy": "18748-4",
}
"""The categories of Article 14 by LOINC: patient summary, prescription, dispensation, laboratory, imaging."""


def category(type: str) -> str:
    """A priority category where the type is of one; else the type itself."""
    return f"{_LOINC}{_PRIORITY[type]}" if type in _PRIORITY else f"{_TYPES}{type}"


@lru_cache(maxsize=1024)
def details(type: str | None, origin: Organization | None) -> bytes:
    """As members that an entity ends with; empty where there is nothing to tell."""
    told = [("data-category", category(type))] if type else []
    if origin:
        told.append(("data-origin", origin.id or origin.name))
    written = [b'{"type":' + text(name) + b',"valueString":' + text(value) + b"}" for name, value in told]
    return b',"detail":[' + b",".join(written) + b"]" if written else b""
