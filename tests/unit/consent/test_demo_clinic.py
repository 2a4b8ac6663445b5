"""The demo clinic: whole, valid, invented, and with one of each answer to the question about photographs."""

import base64
import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhir.resources.R4B.bundle import Bundle

from fhir_server.consent.decision import decide
from fhir_server.consent.purposes import PURPOSES, canonical
from fhir_server.consent.question import Ask, Permit, Reason
from fhir_server.engine.ports import Head
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey, is_id
from fhir_server.kernel.json import Json
from fhir_server.media.formats import recognise
from tests.unit.audit.profiles import faults

CLINIC = json.decode((Path(__file__).parents[3] / "fhir_server/cli/demo_clinic.json").read_bytes())
RESOURCES = [entry["resource"] for entry in CLINIC["entry"]]
PATIENTS = [resource["id"] for resource in RESOURCES if resource["resourceType"] == "Patient"]
CONSENTS = [resource for resource in RESOURCES if resource["resourceType"] == "Consent"]
BASIC = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentBasic"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def every(value: Any, name: str) -> list[Any]:
    """Each value of that name, at any depth."""
    if isinstance(value, list):
        return [found for inner in value for found in every(inner, name)]
    if not isinstance(value, dict):
        return []
    own = [value[name]] if name in value else []
    return own + [found for inner in value.values() for found in every(inner, name)]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: f"{resource['resourceType']}/{resource['id']}")
def test_every_resource_of_the_demo_is_valid(resource: Json) -> None:
    get_fhir_model_class(resource["resourceType"]).model_validate_json(json.encode(resource))


def test_the_demo_is_one_transaction_of_puts_with_names_to_remember() -> None:
    Bundle.model_validate_json(json.encode(CLINIC))
    requests = [(entry["request"]["method"], entry["request"]["url"]) for entry in CLINIC["entry"]]

    assert CLINIC["type"] == "transaction"
    assert requests == [("PUT", f"{resource['resourceType']}/{resource['id']}") for resource in RESOURCES]
    assert len(set(requests)) == len(requests)
    assert all(is_id(resource["id"]) and resource["id"].startswith("demo-") for resource in RESOURCES)


def test_the_demo_has_what_a_clinic_has() -> None:
    kinds = [resource["resourceType"] for resource in RESOURCES]

    assert {kind: kinds.count(kind) for kind in ("Organization", "Practitioner", "Location", "Patient")} == {
        "Organization": 1,
        "Practitioner": 3,
        "Location": 1,
        "Patient": 8,
    }
    assert {"Encounter", "Appointment", "Observation", "Procedure", "Device", "AllergyIntolerance"} <= set(kinds)
    assert [resource for resource in RESOURCES if resource["resourceType"] == "Device" and "lotNumber" in resource]


def test_every_reference_of_the_demo_leads_to_something_in_it() -> None:
    there = {f"{resource['resourceType']}/{resource['id']}" for resource in RESOURCES}

    assert set(every(RESOURCES, "reference")) <= there


def test_nobody_in_the_demo_can_be_reached_and_everything_is_marked_as_a_test() -> None:
    points = [point for telecoms in every(RESOURCES, "telecom") for point in telecoms]
    phones = [point["value"] for point in points if point["system"] == "phone"]
    others = [point["value"] for point in points if point["system"] != "phone"]

    assert all(value.endswith(".example") for value in others)
    # Numbers that ARCEP and Ofcom keep free for fiction.
    assert all(re.fullmatch(r"\+33 (6 39 98|3 53 01) \d\d \d\d|\+44 7700 900\d{3}", phone) for phone in phones)
    assert all(resource["meta"]["security"][0]["code"] == "HTEST" for resource in RESOURCES)


def test_the_demo_carries_no_photo() -> None:
    files = [base64.b64decode(data, validate=True) for data in every(RESOURCES, "data") if isinstance(data, str)]

    assert files
    assert all(recognise(file) is None for file in files)


@pytest.mark.parametrize("consent", CONSENTS, ids=lambda consent: consent["id"])
def test_r_pcf_001_each_consent_is_a_basic_one_with_its_text_and_one_purpose(consent: Json) -> None:
    assert consent["meta"]["profile"] == [BASIC]
    assert faults(consent, BASIC) == []
    assert consent["category"][0]["coding"][0]["code"] == "59284-0"
    [purpose] = [canonical(coding) for coding in consent["provision"]["purpose"]]
    assert purpose in {known.code for known in PURPOSES}
    assert consent["policy"][0]["uri"].startswith("https://")
    text = base64.b64decode(consent["sourceAttachment"]["data"])
    # Attachment.hash is a SHA-1 by definition.
    assert base64.b64decode(consent["sourceAttachment"]["hash"]) == hashlib.sha1(text, usedforsecurity=False).digest()
    assert consent["sourceAttachment"]["size"] == len(text)


def answer(patient: str, purpose: str, channel: str | None = None) -> Reason | None:
    given = [
        {**consent, "meta": {"versionId": "1"}}
        for consent in CONSENTS
        if consent["patient"]["reference"] == f"Patient/{patient}"
    ]
    head = Head(patient, 1, {ResourceKey("Consent", consent["id"]): 1 for consent in given})
    decision = decide(Ask(patient, purpose, NOW, channel=channel, rendition=1), given, head)
    return None if isinstance(decision, Permit) else decision.reason


def test_most_patients_permit_photographs_for_care_one_refuses_and_one_was_never_asked() -> None:
    answers = [answer(patient, "care-photography") for patient in PATIENTS]

    assert answers.count(None) == 6
    assert answers.count(Reason.REFUSED) == 1
    assert answers.count(Reason.NO_CONSENT) == 1


def test_one_patient_permits_marketing_too() -> None:
    assert [answer(patient, "photo-marketing", "website") for patient in PATIENTS].count(None) == 1
    assert [answer(patient, "photo-marketing", "tiktok") for patient in PATIENTS].count(None) == 0


def test_the_demo_has_consents_of_each_state() -> None:
    """Given, refused, withdrawn, run out, taken over from elsewhere without evidence."""
    answers = {answer(patient, purpose.code, "instagram") for patient in PATIENTS for purpose in PURPOSES}

    assert {consent["status"] for consent in CONSENTS} == {"active", "inactive", "proposed"}
    assert {None, Reason.REFUSED, Reason.WITHDRAWN, Reason.OUTSIDE_PERIOD} <= answers


def test_no_id_tells_who_it_is() -> None:
    """Ids stand in clear in the database."""
    names = [name for resource in RESOURCES for name in every(resource, "given") + every(resource, "family")]
    words = {
        unaccented(word)
        for name in names
        for word in re.split(r"[\W_]+", " ".join([*name] if isinstance(name, list) else [name]))
    }

    ids = " ".join(resource["id"] for resource in RESOURCES)

    assert not {word for word in words if len(word) > 2 and word in ids}


def unaccented(word: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKD", word.casefold()) if letter.isascii())
