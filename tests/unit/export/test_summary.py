"""An International Patient Summary as a value: what the profiles ask of it, whatever the record holds."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from fhir_server.export.sections import SECTIONS
from fhir_server.export.summary import Gathered, Maker
from fhir_server.fhir.validation import validate
from fhir_server.kernel.json import Json

BASE = "https://clinic.example/fhir"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
PATIENT: Json = {"resourceType": "Patient", "id": "p", "name": [{"family": "Sample"}], "birthDate": "1960"}
ABOUT = {"reference": "Patient/p"}


def maker() -> Maker:
    numbers = count(1)
    return Maker(BASE, "Clinic & Sons", lambda: f"00000000-0000-4000-8000-{next(numbers):012}")


def made(
    *entries: Json, patient: Json = PATIENT, beside: tuple[Json, ...] = (), withheld: tuple[str, ...] = ()
) -> Json:
    document = maker().document(Gathered(patient, entries, beside, frozenset(withheld)), NOW)
    for entry in document["entry"]:
        validate(entry["resource"])
    validate(document)
    return document


def composition(document: Json) -> Json:
    return dict(document["entry"][0]["resource"])


def section(document: Json, code: str) -> Json:
    [found] = [one for one in composition(document)["section"] if one["code"]["coding"][0]["code"] == code]
    return dict(found)


def condition(id: str, status: str, **more: Any) -> Json:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    stands = {"coding": [{"system": system, "code": status}]}
    return {"resourceType": "Condition", "id": id, "clinicalStatus": stands, "subject": ABOUT, **more}


def observation(id: str, category: str, **more: Any) -> Json:
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category}]}
    code = {"text": "Haemoglobin"}
    return {"resourceType": "Observation", "id": id, "status": "final", "category": [kind], "code": code, **more}


def test_r_ips_002_it_is_a_document_of_one_patient_with_the_composition_first() -> None:
    document = made(condition("c", "active"))

    types = [entry["resource"]["resourceType"] for entry in document["entry"]]
    assert (document["type"], document["identifier"]["value"][:9], document["timestamp"][:10]) == (
        "document",
        "urn:uuid:",
        "2026-11-22",
    )
    assert (types[0], types.count("Composition"), types.count("Patient")) == ("Composition", 1, 1)
    assert all(entry.keys() == {"fullUrl", "resource"} for entry in document["entry"])


def test_r_ips_003_the_required_sections_are_always_there() -> None:
    document = made()

    said = composition(document)
    assert said["type"]["coding"][0] == {"system": "http://loinc.org", "code": "60591-5"} | said["type"]["coding"][0]
    assert {"subject", "date", "author", "title", "status"} <= said.keys()
    assert [one["code"]["coding"][0]["code"] for one in said["section"]] == ["10160-0", "48765-2", "11450-4"]
    for one in said["section"]:
        assert {"title", "code", "text"} <= one.keys()
        assert ("entry" in one) is not ("emptyReason" in one)
        assert "section" not in one


def test_r_ips_004_nothing_sent_is_never_nothing_known() -> None:
    document = made(withheld=("AllergyIntolerance",))

    reasons = {one["title"]: one["emptyReason"]["coding"][0]["code"] for one in composition(document)["section"]}
    assert reasons == {
        "Medication Summary": "unavailable",
        "Allergies and Intolerances": "withheld",
        "Problem List": "unavailable",
    }
    assert "nilknown" not in str(document)


def test_r_ips_004_what_somebody_found_to_be_absent_is_an_entry() -> None:
    none_known = {"coding": [{"system": "http://snomed.info/sct", "code": "716186003"}]}
    active = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]
    }
    allergy = {"resourceType": "AllergyIntolerance", "id": "a", "clinicalStatus": active, "patient": ABOUT}

    document = made({**allergy, "code": none_known})

    assert section(document, "48765-2")["entry"] == [{"reference": f"{BASE}/AllergyIntolerance/a"}]


@pytest.mark.parametrize(
    ("patient", "name", "born"),
    [
        ({"resourceType": "Patient", "id": "p"}, "unknown", "unknown"),
        ({**PATIENT, "name": [{"use": "usual"}]}, "unknown", None),
        (PATIENT, None, None),
    ],
)
def test_r_ips_005_a_patient_has_a_name_and_a_birth_date_or_the_word_that_they_are_not_known(
    patient: Json, name: str | None, born: str | None
) -> None:
    found = made(patient=patient)["entry"][1]["resource"]

    assert _absent(found["name"][0].get("_text")) == name
    assert _absent(found.get("_birthDate")) == born
    assert ("birthDate" in found) is (born is None)


def _absent(element: Json | None) -> str | None:
    return element["extension"][0]["valueCode"] if element else None


def test_r_ips_002_every_reference_resolves_inside() -> None:
    practitioner = {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Doe"}]}
    role = {
        "resourceType": "PractitionerRole",
        "id": "r",
        "practitioner": {"reference": f"{BASE}/Practitioner/d"},
        "organization": {"reference": "Organization/elsewhere", "display": "A hospital"},
    }
    unused = {"resourceType": "Practitioner", "id": "unused"}
    encounter = {"resourceType": "Encounter", "id": "e"}
    found = condition(
        "c",
        "active",
        encounter={"reference": "Encounter/e"},
        recorder={"reference": "PractitionerRole/r/_history/2"},
        contained=[{"resourceType": "Practitioner", "id": "inner"}],
        asserter={"reference": "#inner"},
    )
    document = made(found, beside=(practitioner, role, unused, encounter))

    urls = {entry["fullUrl"] for entry in document["entry"]}
    assert set(_references(document)) - {"#inner"} <= urls
    assert {f"{BASE}/Practitioner/d", f"{BASE}/PractitionerRole/r"} <= urls
    assert f"{BASE}/Practitioner/unused" not in urls
    [stored] = [one["resource"] for one in document["entry"] if one["resource"]["resourceType"] == "Condition"]
    assert _absent(stored["encounter"]) == "masked"
    [shown] = [one["resource"] for one in document["entry"] if one["resource"]["resourceType"] == "PractitionerRole"]
    assert shown["organization"]["display"] == "A hospital"


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _references(one)
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from _references(value)


def test_each_resource_stands_in_the_section_that_it_belongs_to() -> None:
    statement = {"resourceType": "MedicationStatement", "status": "active", "subject": ABOUT}
    medicine = {**statement, "medicationCodeableConcept": {"text": "Aspirin"}}
    document = made(
        condition("now", "active"),
        condition("then", "resolved"),
        condition("never", "active", verificationStatus={"coding": [{"code": "refuted"}]}),
        observation("blood", "laboratory"),
        observation("pulse", "vital-signs"),
        observation("smokes", "social-history"),
        observation("other", "survey"),
        {**medicine, "id": "m"},
        {**medicine, "id": "wrong", "status": "entered-in-error"},
    )

    held = {
        one["code"]["coding"][0]["code"]: [each["reference"].rpartition("/")[2] for each in one.get("entry", [])]
        for one in composition(document)["section"]
    }
    assert held == {
        "10160-0": ["m"],
        "48765-2": [],
        "11450-4": ["now"],
        "30954-2": ["blood"],
        "8716-3": ["pulse"],
        "11348-0": ["then"],
        "29762-2": ["smokes"],
    }
    assert "Aspirin" in section(document, "10160-0")["text"]["div"]


def test_no_two_sections_share_a_code_and_three_are_required() -> None:
    assert len({one.code for one in SECTIONS}) == len(SECTIONS)
    assert sum(one.is_required for one in SECTIONS) == 3
