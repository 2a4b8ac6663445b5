"""Synthetic resources of our own: nobody they could name exists. The same number gives the same bytes.

https://hl7.org/fhir/R4/patient.html, https://hl7.org/fhir/R4/observation.html
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.kernel import json
from fhir_server.kernel.json import Json

SAME_NAME = 20
"""So many patients of the searched ones share a family name: one page of hits."""

ENTRIES = 100
_SEARCHED = 10_000
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
_WORDS = len(_SYLLABLES) ** 3
_GIVEN = ("Astrid", "Bernt", "Charlotte", "Dankwart", "Elsbeth", "Friedrich", "Gertrud", "Heinz", "Ingrid", "Jorg")
_NUMBER, _FAMILY, _GIVEN_MARK, _BORN = b"00000000", b"Familyname", b"Givenname", b"1900-01-01"
_PATIENT_URN = "urn:uuid:5f0c2a0e-7c4b-4a53-9d9b-2f6a1e3c8d10"


def family(group: int) -> str:
    """A name that no other group has, and that differs within its first six letters."""
    scattered = group * 7919 % _WORDS
    first, rest = divmod(scattered, len(_SYLLABLES) ** 2)
    second, third = divmod(rest, len(_SYLLABLES))
    return f"{_SYLLABLES[first]}{_SYLLABLES[second]}{_SYLLABLES[third]}berg".capitalize()


def searched_patient(number: int) -> bytes:
    """Patients 0 to 19 share a name, 20 to 39 the next, and so on."""
    return _filled(_PATIENT, number, number // SAME_NAME)


def known_patient(id: str, number: int) -> bytes:
    """A searched patient who is stored under this id."""
    return json.encode(json.decode(searched_patient(number)) | {"id": id})


def other_patient(number: int) -> bytes:
    """A patient whom no search of the benchmark finds."""
    return _filled(_PATIENT, number, _SEARCHED + number)


def transaction(number: int) -> bytes:
    """A Patient and 99 Observations of that patient."""
    return _filled(_TRANSACTIONS[number % len(_TRANSACTIONS)], number, _SEARCHED + number)


def observation(patient: str, number: int) -> bytes:
    """An Observation of a patient who is stored."""
    return json.encode(_observation(0, number) | {"subject": {"reference": f"Patient/{patient}"}})


def searched_patients(first: int) -> bytes:
    """A transaction of the next hundred searched patients, as numbered bytes."""
    one = b'{"resource":%s,"request":{"method":"POST","url":"Patient"}}'
    return _bundle([one % searched_patient(number) for number in range(first, first + ENTRIES)])


def _filled(template: bytes, number: int, group: int) -> bytes:
    born = f"{1935 + number * 7 % 70}-{1 + number % 12:02}-{1 + number * 11 % 28:02}"
    return (
        template.replace(_NUMBER, f"{number:08}".encode())
        .replace(_FAMILY, family(group).encode())
        .replace(_GIVEN_MARK, _GIVEN[number % len(_GIVEN)].encode())
        .replace(_BORN, born.encode())
    )


def _bundle(entries: Sequence[bytes]) -> bytes:
    return b'{"resourceType":"Bundle","type":"transaction","entry":[' + b",".join(entries) + b"]}"


def _coding(system: str, code: str, display: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}]}


_ADDRESS: Json = {
    "use": "home",
    "line": ["Beispielweg 00000000", "Hinterhaus, zweiter Stock"],
    "city": "Musterstadt",
    "state": "Beispielland",
    "postalCode": "99999",
    "country": "DE",
}
_PATIENT = json.encode(
    {
        "resourceType": "Patient",
        "text": {
            "status": "generated",
            "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Familyname, Givenname, 1900-01-01</p></div>',
        },
        "identifier": [
            {
                "use": "usual",
                "type": _coding("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", "Medical record number"),
                "system": "https://clinic.example/fhir/sid/record-number",
                "value": "R-00000000",
            },
            {"use": "official", "system": "https://insurer.example/fhir/sid/member", "value": "M00000000-7"},
        ],
        "active": True,
        "name": [{"use": "official", "family": "Familyname", "given": ["Givenname", "Maria"], "prefix": ["Dr."]}],
        "telecom": [
            {"system": "phone", "value": "+49 30 00000000", "use": "mobile", "rank": 1},
            {"system": "email", "value": "person-00000000@mail.example", "use": "home"},
        ],
        "gender": "female",
        "birthDate": "1900-01-01",
        "deceasedBoolean": False,
        "address": [_ADDRESS],
        "maritalStatus": _coding("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "M", "Married"),
        "contact": [
            {
                "relationship": [_coding("http://terminology.hl7.org/CodeSystem/v2-0131", "N", "Next-of-Kin")],
                "name": {"family": "Familyname", "given": ["Kunigunde"]},
                "telecom": [{"system": "phone", "value": "+49 30 00000000 12", "use": "home"}],
                "address": _ADDRESS,
            }
        ],
        "communication": [{"language": _coding("urn:ietf:bcp:47", "de-DE", "German (Germany)"), "preferred": True}],
    }
)

_UCUM, _LOINC = "http://unitsofmeasure.org", "http://loinc.org"
_MEASURED = (
    ("29463-7", "Body weight", "kg", 48),
    ("8867-4", "Heart rate", "/min", 55),
    ("8310-5", "Body temperature", "Cel", 36),
    ("39156-5", "Body mass index", "kg/m2", 19),
)


def _quantity(whole: int, tenths: int, unit: str) -> Json:
    return {"value": json.decode(f"{whole}.{tenths % 10}".encode()), "unit": unit, "system": _UCUM, "code": unit}


def _observation(bundle: int, number: int) -> Json:
    """Every fifth is a blood pressure with its two components."""
    day = f"20{10 + bundle}-{1 + number % 12:02}-{1 + number % 28:02}"
    observation: Json = {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            _coding("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital signs")
        ],
        "subject": {"reference": _PATIENT_URN},
        "effectiveDateTime": f"{day}T{8 + number % 9:02}:30:00+01:00",
        "issued": f"{day}T18:{number % 60:02}:00.000+01:00",
    }
    if number % 5 == 0:
        return observation | {
            "code": _coding(_LOINC, "85354-9", "Blood pressure panel"),
            "component": [
                {"code": _coding(_LOINC, code, name), "valueQuantity": _quantity(least + number % 40, bundle, "mm[Hg]")}
                for code, name, least in (("8480-6", "Systolic", 100), ("8462-4", "Diastolic", 60))
            ],
        }
    code, name, unit, least = _MEASURED[number % len(_MEASURED)]
    return observation | {
        "code": _coding(_LOINC, code, name) | {"text": name},
        "valueQuantity": _quantity(least + number % 7, bundle + number, unit),
    }


def _transaction_template(bundle: int) -> bytes:
    def entry(full_url: str, resource: Any) -> bytes:  # noqa: ANN401  JSON is any value
        asked = {"method": "POST", "url": resource["resourceType"]}
        return json.encode({"fullUrl": full_url, "resource": resource, "request": asked})

    observations = [_observation(bundle, number) for number in range(1, ENTRIES)]
    urns = [f"urn:uuid:7b1d9f4e-3a60-4c1f-8e55-{number:012x}" for number in range(1, ENTRIES)]
    return _bundle([entry(_PATIENT_URN, json.decode(_PATIENT)), *map(entry, urns, observations)])


_TRANSACTIONS = [_transaction_template(bundle) for bundle in range(8)]
