"""Which key seals what, and what stays readable: the two reviewed tables."""

import pytest

from fhir_server.crypto.keys import KeyClass
from fhir_server.engine.classification import RECEIPT, RECEIPT_SYSTEM, clear, key_class
from fhir_server.kernel.json import Json

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("Patient", KeyClass.RECORD),
        ("Observation", KeyClass.RECORD),
        ("Media", KeyClass.RECORD),
        ("DocumentReference", KeyClass.RECORD),
        ("Communication", KeyClass.RECORD),
        ("Appointment", KeyClass.CONTACT),
        ("RelatedPerson", KeyClass.CONTACT),
        ("Consent", KeyClass.PROOF),
        ("Provenance", KeyClass.PROOF),
        ("Task", KeyClass.PROOF),
    ],
)
def test_the_class_follows_from_the_type(type: str, expected: KeyClass) -> None:
    assert key_class({"resourceType": type}) is expected


@pytest.mark.parametrize("type", ["Communication", "CommunicationRequest"])
@pytest.mark.parametrize(
    ("coding", "expected"),
    [
        ({"system": ACT_REASON, "code": "HMARKT"}, KeyClass.MARKETING),
        ({"system": "urn:aesthetic-fhir-server:purpose", "code": "marketing"}, KeyClass.MARKETING),
        ({"system": ACT_REASON, "code": "TREAT"}, KeyClass.RECORD),
        ({"code": "HMARKT"}, KeyClass.RECORD),
        ({}, KeyClass.RECORD),
    ],
)
def test_a_message_that_sells_goes_with_the_consent_to_marketing(type: str, coding: Json, expected: KeyClass) -> None:
    category = [{"text": "x"}, {"coding": [{"system": "urn:x", "code": "y"}, coding]}]

    assert key_class({"resourceType": type, "category": category}) is expected


def test_no_label_makes_a_record_marketing() -> None:
    """Who withdraws from marketing must not lose a part of the medical file."""
    coding = {"system": ACT_REASON, "code": "HMARKT"}
    condition = {"resourceType": "Condition", "category": [{"coding": [coding]}], "meta": {"security": [coding]}}

    assert key_class(condition) is KeyClass.RECORD


@pytest.mark.parametrize(
    ("coding", "expected"),
    [
        ({"system": RECEIPT_SYSTEM, "code": RECEIPT}, KeyClass.PROOF),
        ({"system": "http://loinc.org", "code": RECEIPT}, KeyClass.RECORD),
        ({"code": RECEIPT}, KeyClass.RECORD),
    ],
)
def test_a_receipt_is_told_by_system_and_code(coding: Json, expected: KeyClass) -> None:
    assert key_class({"resourceType": "DocumentReference", "type": {"coding": [coding]}}) is expected


def test_only_the_allow_list_stays_readable() -> None:
    assert clear({"resourceType": "Observation", "status": "final", "code": {"text": "x"}}) == {"status": "final"}
    assert clear({"resourceType": "Observation", "status": {"text": "x"}}) == {}
