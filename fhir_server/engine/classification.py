"""What of a resource stays readable, and which erasure class its key belongs to: two reviewed tables.

Architecture sections 4 and 5. Whatever is not named here is sealed under the patient's record key.
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.crypto.keys import KeyClass
from fhir_server.kernel.json import Json

CLEAR = frozenset({"status"})
"""Top-level elements that may stand in clear: codes of small, administrative value sets, the same for every patient.

Read docs/threat-model.md before adding one: clear data is pseudonymous and still personal data.
"""

_CLASSES = {
    "Appointment": KeyClass.CONTACT,
    "AppointmentResponse": KeyClass.CONTACT,
    "RelatedPerson": KeyClass.CONTACT,
    "Consent": KeyClass.PROOF,
    "Provenance": KeyClass.PROOF,
    "Task": KeyClass.PROOF,
}

_MESSAGES = frozenset({"Communication", "CommunicationRequest"})
_MARKETING = frozenset(
    {
        ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HMARKT"),
        ("urn:aesthetic-fhir-server:purpose", "marketing"),
    }
)
"""Categories of a message that was sent to sell: it goes with the consent to marketing, the rest of the file stays."""

RECEIPT_SYSTEM, RECEIPT = "urn:aesthetic-fhir-server:document-type", "erasure-receipt"
"""Type of the DocumentReference that proves a destruction; it outlives what it speaks of. No client may file one."""

ANSWER = "rights-receipt"
"""Type of the DocumentReference that proves how a request for a right was answered: as safe as the other one."""

DRILL = "backup-drill"
"""Type, in the same system, of the DocumentReference that says how a backup did when it was tried out."""

HEALTH_LINK = "health-link"
"""Type, in the same system, of the DocumentReference behind a SMART Health Link: it goes with whatever is erased."""

SIGNED_FORM = "signed-consent-form"
_CONSENT_FORM = "urn:aesthetic-fhir-server:form:"


def key_class(resource: Mapping[str, Any]) -> KeyClass:
    """The class whose key seals this resource of a patient, so that erasure can be partial."""
    type = resource["resourceType"]
    if type == "DocumentReference":
        return _document_class(resource)
    if _answers_consent(resource):
        return KeyClass.PROOF
    if type in _MESSAGES and _is_marketing(resource):
        return KeyClass.MARKETING
    return _CLASSES.get(type, KeyClass.RECORD)


def _document_class(resource: Mapping[str, Any]) -> KeyClass:
    if is_receipt(resource) or is_signed_form(resource):
        return KeyClass.PROOF
    return KeyClass.CONTACT if is_health_link(resource) else KeyClass.RECORD


def is_receipt(resource: Mapping[str, Any]) -> bool:
    return _is_document(resource, RECEIPT) or _is_document(resource, ANSWER)


def is_drill(resource: Mapping[str, Any]) -> bool:
    return _is_document(resource, DRILL)


def is_health_link(resource: Mapping[str, Any]) -> bool:
    return _is_document(resource, HEALTH_LINK)


def _is_document(resource: Mapping[str, Any], code: str) -> bool:
    if resource["resourceType"] != "DocumentReference":
        return False
    codings = resource.get("type", {}).get("coding", [])
    return any((coding.get("system"), coding.get("code")) == (RECEIPT_SYSTEM, code) for coding in codings)


def is_signed_form(resource: Mapping[str, Any]) -> bool:
    """The document that was signed, or a scan of it."""
    if resource["resourceType"] != "DocumentReference":
        return False
    codings = resource.get("type", {}).get("coding", [])
    return any((coding.get("system"), coding.get("code")) == (RECEIPT_SYSTEM, SIGNED_FORM) for coding in codings)


def _answers_consent(resource: Mapping[str, Any]) -> bool:
    if resource["resourceType"] != "QuestionnaireResponse":
        return False
    return str(resource.get("questionnaire", "")).startswith(_CONSENT_FORM)


def _is_marketing(message: Mapping[str, Any]) -> bool:
    codings = (coding for concept in message.get("category", []) for coding in concept.get("coding", []))
    return any((coding.get("system"), coding.get("code")) in _MARKETING for coding in codings)


def clear(resource: Json) -> Json:
    """The elements that stay readable beside the seal."""
    return {name: resource[name] for name in CLEAR if isinstance(resource.get(name), str)}
