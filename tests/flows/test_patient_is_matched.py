"""`Patient/$match`: candidates with a grade, for whoever may search patients.

https://hl7.org/fhir/R4/patient-operation-match.html
"""

from typing import Any

import pytest

from fhir_server.engine.matches import MOST_CANDIDATES
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.trail import named

pytestmark = pytest.mark.anyio

PATH = "/fhir/Patient/$match"
NUMBER = {"system": "urn:example:match-number", "value": "a,b|c$d"}


def somebody(id: str, **more: Any) -> Json:
    name = [{"family": "Matchwell", "given": ["Ann"]}]
    return {"resourceType": "Patient", "id": id, "name": name, "birthDate": "1985-05-07", **more}


def asking(patient: Json, **more: Any) -> Json:
    given = [{"name": "resource", "resource": patient}]
    given += [
        {"name": name, ("valueBoolean" if isinstance(value, bool) else "valueInteger"): value}
        for name, value in more.items()
    ]
    return {"resourceType": "Parameters", "parameter": given}


@pytest.fixture(scope="module")
async def doctor(clinic: InProcess) -> Caller:
    found = clinic.caller()
    await found.store(somebody("match-numbered", identifier=[NUMBER]))
    await found.store(somebody("match-named"))
    await found.store(somebody("match-other-day", birthDate="1999-01-01"))
    await found.store(
        somebody(
            "match-reached",
            birthDate="1985-05-07",
            name=[{"family": "Else"}],
            telecom=[{"system": "email", "value": "match@example.org"}],
        )
    )
    return found


async def graded(caller: Caller, patient: Json, **more: Any) -> dict[str, str]:
    answer = await caller.post(PATH, asking(patient, **more))
    assert answer.status_code == 200, answer.text
    bundle = read(answer)
    entries = bundle.get("entry", [])
    assert (bundle["type"], bundle["total"]) == ("searchset", len(entries))
    return {one["resource"]["id"]: one["search"]["extension"][0]["valueCode"] for one in entries}


async def test_the_surest_come_first_and_each_has_its_grade(doctor: Caller) -> None:
    asked = somebody("x", identifier=[NUMBER], telecom=[{"system": "email", "value": "match@example.org"}])
    del asked["id"]

    found = await graded(doctor, asked)

    assert list(found.items()) == [
        ("match-numbered", "certain"),
        ("match-named", "probable"),
        ("match-reached", "possible"),
    ]


async def test_only_certain_matches_and_a_count_narrow_it(doctor: Caller) -> None:
    asked = somebody("x", identifier=[NUMBER])

    assert list(await graded(doctor, asked, onlyCertainMatches=True)) == ["match-numbered"]
    assert list(await graded(doctor, asked, count=1)) == ["match-numbered"]
    assert await graded(doctor, somebody("x"), onlyCertainMatches=True) == {}


async def test_two_who_share_a_number_are_never_certain(doctor: Caller) -> None:
    shared = {"system": "urn:example:match-number", "value": "twice"}
    for id in ("match-twin-1", "match-twin-2"):
        await doctor.store(somebody(id, name=[{"family": "Twin"}], identifier=[shared]))

    found = await graded(doctor, {"resourceType": "Patient", "identifier": [shared]})

    assert found == {"match-twin-1": "probable", "match-twin-2": "probable"}


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Parameters"},
        {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {"resourceType": "Person"}}]},
        asking({"resourceType": "Patient", "birthDate": "1985-05-07"}, count=0),
        asking({"resourceType": "Patient", "birthDate": "1985-05-07"}, count=1000),
    ],
)
async def test_what_asks_nothing_is_refused(doctor: Caller, body: Json) -> None:
    assert (await doctor.post(PATH, body)).status_code == 400


async def test_nobody_is_crowded_out_by_those_whom_another_search_finds(clinic: InProcess) -> None:
    caller = clinic.caller()
    born, name = "1931-03-09", [{"family": "Crowd"}]
    many = [{"resourceType": "Patient", "name": name, "birthDate": born} for _ in range(MOST_CANDIDATES + 1)]
    entries = [{"resource": one, "request": {"method": "POST", "url": "Patient"}} for one in many]
    answer = await caller.post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    numbered = {"system": "urn:example:match-number", "value": "c-7719"}
    await caller.store(
        {**somebody("match-crowded", identifier=[numbered], birthDate=born), "name": [{"family": "Else"}]}
    )

    found = await graded(caller, {"resourceType": "Patient", "identifier": [numbered], "name": name, "birthDate": born})

    assert found["match-crowded"] == "certain"


async def test_an_address_alone_finds_nobody(doctor: Caller) -> None:
    telecom = [{"system": "email", "value": "match@example.org"}]

    assert (await doctor.post(PATH, asking({"resourceType": "Patient", "telecom": telecom}))).status_code == 422


async def test_who_may_not_search_patients_may_not_match_them(clinic: InProcess, doctor: Caller) -> None:
    observer = clinic.caller("system/Observation.rs")
    ann = clinic.caller("patient/*.rs", patient="match-named")

    assert (await observer.post(PATH, asking(somebody("x")))).status_code == 403
    assert list(await graded(ann, somebody("x", identifier=[NUMBER]))) == ["match-named"]


async def test_each_candidate_who_is_shown_is_recorded(clinic: InProcess, doctor: Caller) -> None:
    async with clinic.trail.recording() as recorded:
        found = await graded(doctor, somebody("x"))

    told = {one for event in recorded.events for one in named(event)}
    assert {f"Patient/{id}" for id in found} <= told
