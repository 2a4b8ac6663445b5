"""Whom the picture of a Media is of, a patient, who decides on it, or the clinic itself; and whether it was imported.

Architecture section 9: an image of a Practitioner or Organization is not a patient's photo.
https://hl7.org/fhir/R4/media-definitions.html#Media.subject
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.kernel.identity import parse_reference

TAGS = "urn:aesthetic-fhir-server:tag"
IMPORTED, UNEVIDENCED = "imported", "evidence-missing"
"""Tags of that system: another system took the photo, and no evidence of a consent came with it."""

_NO_PATIENT = frozenset({"Practitioner", "PractitionerRole", "Group", "Device", "Specimen", "Location"})


def is_of_a_patient(media: Mapping[str, Any]) -> bool:
    """Anybody who cannot be told is taken for a patient. A Media without a subject is of nobody."""
    subject = media.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    key = parse_reference(reference) if isinstance(reference, str) else None
    return subject is not None and (key is None or key.type not in _NO_PATIENT)


def is_imported(resource: Mapping[str, Any]) -> bool:
    return has_tag(resource, IMPORTED) or has_tag(resource, UNEVIDENCED)


def has_tag(resource: Mapping[str, Any], code: str) -> bool:
    """One of ours."""
    tags = resource.get("meta", {}).get("tag", [])
    return any(tag.get("system") == TAGS and tag.get("code") == code for tag in tags)
