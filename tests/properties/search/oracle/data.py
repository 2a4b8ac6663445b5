"""What is searched: HL7's examples, synthetic patients, and resources invented to be hard to search."""

import gzip
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from fhir_server.engine.references import rewrite
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.properties.search.oracle import terms

_DATA = Path(__file__).parents[4].parent / "shared/data"
_FAMILIES = [
    "Chalmers",
    "chalm\u00e9rs",
    "Chal",
    "M\u00fcller-Schmidt",
    "Stra\u00dfe",
    "O'Brien",
    "van der Berg",
    "\u674e",
    "a,b|c$d\\e",
]
_BIRTHS = ["1974", "1974-12", "1974-12-25", "1899-12-31", "2100-01-01"]
_MOMENTS = [
    "2019-12-31T23:59:59Z",
    "2020-01-01T00:30:00+01:00",
    "2020-01-01",
    "2020-02-29",
    "2020-01",
    "2020-01-01T00:00:00.500Z",
]
_UNITS = ["kg", "g", "mg", "[lb_av]", "cm", "m", "[in_i]", "Cel", "[degF]", "mm[Hg]", "kPa", "mg/dL", "g/L"]
_AMOUNTS = ["1", "1.50", "0", "-3.25", "98.6", "1000", "0.0015", "120"]
_UCUM = "http://unitsofmeasure.org"


def resources(patients: int) -> list[Json]:
    """The invented ones, the examples, and so many synthetic patients. Each type and id once."""
    if not _DATA.is_dir():
        pytest.skip("the published examples are not here")
    found: dict[tuple[str, str], Json] = {}
    for each in (*_invented(), *_examples(), *_synthetic(patients)):
        if "id" in each and each["resourceType"] in served_types() - {"AuditEvent"}:
            found.setdefault((each["resourceType"], each["id"]), each)
    return list(found.values())


def _examples() -> Iterator[Json]:
    with gzip.open(_DATA / "hl7-r4-examples.ndjson.gz") as lines:
        for line in lines:
            yield json.decode(line)["resource"]


def _synthetic(patients: int) -> Iterator[Json]:
    for number, path in enumerate(sorted((_DATA / "synthea").glob("*.json.gz"))[:patients]):
        entries = json.decode(gzip.decompress(path.read_bytes()))["entry"]
        ids = {
            entry["fullUrl"]: f"{entry['resource']['resourceType']}/s{number}-{n}" for n, entry in enumerate(entries)
        }
        for entry in entries:
            yield rewrite({**entry["resource"], "id": ids[entry["fullUrl"]].partition("/")[2]}, ids)


def _invented() -> Iterator[Json]:
    yield from terms.definitions()
    numbers = count()
    for family in _FAMILIES:
        for birth in _BIRTHS:
            yield _patient(next(numbers), family, birth)
    for amount in _AMOUNTS:
        for unit in _UNITS:
            yield _observation(next(numbers), amount, unit)


def _patient(number: int, family: str, birth: str) -> Json:
    found: Json = {"resourceType": "Patient", "id": f"p{number}", "birthDate": birth, "name": [{"family": family}]}
    if number % 3:
        found["gender"] = ["male", "female", "other"][number % 3]
        found["name"].append({"given": [["Jim", "James"][number % 2], "Peter"], "family": f"{family} Senior"})
    if number % 4:
        kind = {"coding": [{"system": "urn:kinds", "code": ["MR", "PPN"][number % 2]}], "text": "Passport number"}
        found["identifier"] = [
            {"system": f"urn:s{number % 2}", "value": f"{number % 5}", "type": kind},
            {"value": f"A-{number % 7}"},
        ]
    if number % 5 == 0:
        found["telecom"] = [
            {"system": "phone", "value": f"+44 (20) 7946-0{number:03}"},
            {"system": "email", "value": f"P{number}@x.example"},
        ]
        found["meta"] = {
            "tag": [{"system": "urn:t", "code": "demo"}],
            "profile": [f"http://x.example/P/{number % 2}|1.{number}"],
        }
    if number % 7 == 0:
        found["generalPractitioner"] = [
            {"reference": "Practitioner/example"},
            {"identifier": {"system": "urn:gp", "value": "g1"}},
        ]
    return found


def _observation(number: int, amount: str, unit: str) -> Json:
    value = {"value": json.decode(amount.encode()), "unit": unit, "system": _UCUM, "code": unit}
    if number % 6 == 0:
        value["comparator"] = ["<", ">="][number % 12 == 0]
    found: Json = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": ["final", "amended", "preliminary"][number % 3],
        "code": {"coding": [{"system": "urn:c", "code": f"C{number % 6}", "display": f"Measured thing {number % 4}"}]},
        "subject": {"reference": ["Patient/p1", "http://127.0.0.1:8000/fhir/Patient/p2", "Patient/p3"][number % 3]},
        "valueQuantity": value,
        "component": [{"code": {"coding": [{"code": f"K{number % 3}"}]}, "valueQuantity": value}],
    }
    moment = _MOMENTS[number % len(_MOMENTS)]
    if number % 4:
        found["effectiveDateTime"] = moment
    else:
        found["effectivePeriod"] = {["start", "end"][number % 8 == 0]: moment}
    return found
