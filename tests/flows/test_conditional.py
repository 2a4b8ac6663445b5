"""Conditional create, update, patch and delete over HTTP: nothing, one or many match; and fifty who ask at once.

R-FHIR-010, 013, 016, 043, R-SMART-049; https://hl7.org/fhir/R4/http.html#ccreate
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.samples import consent, jpeg, media, patient
from tests.trail import said

pytestmark = pytest.mark.anyio

SYSTEM = "urn:conditional"
PATCH = {"Content_Type": "application/json-patch+json"}
GENDER = json.dumps([{"op": "add", "path": "/gender", "value": "female"}])


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture
def number() -> str:
    """An identifier that no other test gives."""
    return secrets.token_hex(6)


@pytest.fixture(scope="module")
async def several(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    """Where a conditional delete may delete several."""
    folder = tmp_path_factory.mktemp("several")
    async with running(mongo_uri, "test_several", folder, conditional_delete_several=True) as inside:
        yield inside


@pytest.fixture
async def two(mongo_uri: str, tmp_path: Path) -> AsyncIterator[list[InProcess]]:
    """Two servers on one database, as two processes would be."""
    async with AsyncExitStack() as stack:
        name = f"test_two_{secrets.token_hex(3)}"
        yield [await stack.enter_async_context(running(mongo_uri, name, tmp_path)) for _ in range(2)]


def known_as(number: str, **more: Any) -> Json:
    return patient("Conditional", identifier=[{"system": SYSTEM, "value": number}], **more)


def criteria(number: str) -> str:
    return f"identifier={SYSTEM}|{number}"


async def matches(who: Caller, number: str) -> list[Json]:
    return [entry["resource"] for entry in read(await who.get(f"/fhir/Patient?{criteria(number)}")).get("entry", [])]


async def create(who: Caller, number: str) -> Response:
    return await who.post("/fhir/Patient", known_as(number), If_None_Exist=criteria(number))


async def test_r_fhir_010_nothing_matches_and_it_is_created(clinic: InProcess, doctor: Caller, number: str) -> None:
    async with clinic.trail.recording() as recorded:
        answer = await create(doctor, number)

    assert answer.status_code == 201
    assert answer.headers["location"] == f"{clinic.base}/Patient/{read(answer)['id']}/_history/1"
    assert said(recorded.only) == ("create", "0")


@pytest.mark.parametrize("written", ["{}", "?{}", "Patient?{}", "/Patient?{}", "http://127.0.0.1:8000/fhir/Patient?{}"])
async def test_r_fhir_010_one_matches_and_is_told_of(
    clinic: InProcess, doctor: Caller, number: str, written: str
) -> None:
    first = read(await create(doctor, number))

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post(
            "/fhir/Patient", known_as(number, gender="male"), If_None_Exist=written.format(criteria(number))
        )

    assert answer.status_code == 200
    assert answer.headers["location"] == f"{clinic.base}/Patient/{first['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert await matches(doctor, number) == [first], "nothing was written"
    assert said(recorded.only) == ("create", "0")
    assert f"Patient/{first['id']}" in str(recorded.only)


async def test_r_fhir_010_013_016_many_match_and_nothing_happens(
    clinic: InProcess, doctor: Caller, number: str
) -> None:
    await doctor.store(known_as(number))
    await doctor.store(known_as(number))
    before = await matches(doctor, number)
    path = f"/fhir/Patient?{criteria(number)}"

    async with clinic.trail.recording() as recorded:
        answers = [
            await create(doctor, number),
            await doctor.put(path, known_as(number)),
            await doctor.ask("PATCH", path, GENDER, **PATCH),
            await doctor.delete(path),
        ]

    assert [answer.status_code for answer in answers] == [412] * 4
    assert {read(answer)["issue"][0]["code"] for answer in answers} == {"multiple-matches"}
    assert await matches(doctor, number) == before
    assert [said(event)[1] for event in recorded.events] == ["4"] * 4


async def test_r_fhir_010_what_was_deleted_matches_no_more(doctor: Caller, number: str) -> None:
    first = read(await create(doctor, number))
    await doctor.delete(f"/fhir/Patient/{first['id']}")

    answer = await create(doctor, number)

    assert answer.status_code == 201
    assert read(answer)["id"] != first["id"]


async def test_r_fhir_010_fifty_at_one_instant_store_one(doctor: Caller, number: str) -> None:
    answers = await asyncio.gather(*(create(doctor, number) for _ in range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({read(answer)["id"] for answer in answers}) == 1
    assert len(await matches(doctor, number)) == 1


async def test_r_fhir_010_fifty_at_one_instant_in_two_processes_store_one(two: list[InProcess], number: str) -> None:
    callers = [inside.caller() for inside in two]

    answers = await asyncio.gather(*(create(callers[place % 2], number) for place in range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({read(answer)["id"] for answer in answers}) == 1
    for who in callers:
        assert len(await matches(who, number)) == 1


async def test_r_fhir_013_fifty_conditional_updates_at_one_instant_make_one_resource(
    doctor: Caller, number: str
) -> None:
    path = f"/fhir/Patient?{criteria(number)}"

    answers = await asyncio.gather(*(doctor.put(path, known_as(number)) for _ in range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    [only] = await matches(doctor, number)
    assert only["meta"]["versionId"] == "50"


async def test_r_fhir_013_nothing_matches_and_an_update_creates(doctor: Caller, number: str) -> None:
    path = f"/fhir/Patient?{criteria(number)}"

    fresh = await doctor.put(path, known_as(number))
    named = await doctor.put(f"/fhir/Patient?{criteria(number + 'x')}", known_as(number + "x", id=f"own-{number}"))

    assert (fresh.status_code, named.status_code) == (201, 201)
    assert read(fresh)["id"]
    assert read(named)["id"] == f"own-{number}"


async def test_r_fhir_013_nothing_matches_but_the_id_is_taken(doctor: Caller, number: str) -> None:
    taken = await doctor.store(patient("Taken", id=f"taken-{number}"))

    answer = await doctor.put(f"/fhir/Patient?{criteria(number)}", known_as(number, id=taken["id"]))

    assert answer.status_code == 409
    assert read(await doctor.get(f"/fhir/Patient/{taken['id']}")) == taken


async def test_r_fhir_013_one_matches_and_is_updated(clinic: InProcess, doctor: Caller, number: str) -> None:
    first = await doctor.store(known_as(number))
    path = f"/fhir/Patient?{criteria(number)}"

    async with clinic.trail.recording() as recorded:
        answer = await doctor.put(path, known_as(number, gender="male"))
    again = await doctor.put(path, known_as(number, gender="female", id=first["id"]))

    assert (answer.status_code, again.status_code) == (200, 200)
    assert [read(one)["meta"]["versionId"] for one in (answer, again)] == ["2", "3"]
    assert read(again)["id"] == first["id"]
    assert said(recorded.only) == ("update", "0")


@pytest.mark.parametrize("id", ["another", "a b", 7, ""])
async def test_r_fhir_013_an_id_that_conflicts_is_400(doctor: Caller, number: str, id: object) -> None:
    first = await doctor.store(known_as(number))

    answer = await doctor.put(f"/fhir/Patient?{criteria(number)}", known_as(number, id=id))

    assert answer.status_code == 400
    assert await matches(doctor, number) == [first]


async def test_r_fhir_012_a_stale_if_match_is_412(doctor: Caller, number: str) -> None:
    await doctor.store(known_as(number))
    path = f"/fhir/Patient?{criteria(number)}"

    assert (await doctor.put(path, known_as(number), If_Match='W/"9"')).status_code == 412
    assert (await doctor.ask("PATCH", path, GENDER, **PATCH, If_Match='W/"9"')).status_code == 412
    assert (await doctor.put(path, known_as(number), If_Match='W/"1"')).status_code == 200
    assert (await doctor.ask("PATCH", path, GENDER, **PATCH, If_Match='W/"2"')).status_code == 200


async def test_r_fhir_012_an_if_match_where_nothing_matches_is_412(doctor: Caller, number: str) -> None:
    """The client says that there is a version; there is none."""
    path = f"/fhir/Patient?{criteria(number)}"

    assert (await doctor.put(path, known_as(number), If_Match='W/"1"')).status_code == 412
    assert (
        await doctor.put(path, known_as(number, id=f"m-{secrets.token_hex(6)}"), If_Match='W/"1"')
    ).status_code == 412
    assert await matches(doctor, number) == []


async def test_r_fhir_014_a_conditional_patch_changes_the_one_that_matches(
    clinic: InProcess, doctor: Caller, number: str
) -> None:
    path = f"/fhir/Patient?{criteria(number)}"
    assert (await doctor.ask("PATCH", path, GENDER, **PATCH)).status_code == 404
    await doctor.store(known_as(number))

    async with clinic.trail.recording() as recorded:
        answer = await doctor.ask("PATCH", path, GENDER, **PATCH)

    assert answer.status_code == 200
    assert (read(answer)["gender"], read(answer)["meta"]["versionId"]) == ("female", "2")
    assert said(recorded.only) == ("patch", "0")


async def test_r_fhir_016_the_one_that_matches_is_deleted(clinic: InProcess, doctor: Caller, number: str) -> None:
    first = await doctor.store(known_as(number))
    path = f"/fhir/Patient?{criteria(number)}"

    async with clinic.trail.recording() as recorded:
        answers = [await doctor.delete(path), await doctor.delete(path)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert (await doctor.get(f"/fhir/Patient/{first['id']}")).status_code == 410
    assert [said(event) for event in recorded.events] == [("delete", "0")] * 2


async def test_r_fhir_016_several_are_deleted_where_the_setting_allows_it(several: InProcess, number: str) -> None:
    who = several.caller()
    ids = [(await who.store(known_as(number)))["id"] for _ in range(3)]
    kept = await who.store(known_as(number + "x"))

    async with several.trail.recording() as recorded:
        answer = await who.delete(f"/fhir/Patient?{criteria(number)}")

    assert answer.status_code == 204
    assert [(await who.get(f"/fhir/Patient/{id}")).status_code for id in ids] == [410] * 3
    assert (await who.get(f"/fhir/Patient/{kept['id']}")).status_code == 200
    assert [said(event) for event in recorded.events] == [("delete", "0")] * 3


@pytest.mark.parametrize(
    "query", ["colour=red", "identifier:near=x", "_format=json", "", "_count=5", "_sort=_id", "?", "identifier="]
)
@pytest.mark.parametrize("prefer", ["handling=lenient", "handling=strict"])
async def test_r_fhir_043_criteria_that_say_nothing_are_400(
    clinic: InProcess, doctor: Caller, number: str, query: str, prefer: str
) -> None:
    """Ignoring one would widen what is written or deleted; and where nothing is asked for, everything matches."""
    before = (await clinic.counts())["resources"]
    path = f"/fhir/Patient?{query}"

    async with clinic.trail.recording() as recorded:
        answers = [
            await doctor.post("/fhir/Patient", known_as(number), If_None_Exist=query, Prefer=prefer),
            await doctor.put(path, known_as(number), Prefer=prefer),
            await doctor.ask("PATCH", path, GENDER, **PATCH, Prefer=prefer),
            await doctor.delete(path, Prefer=prefer),
        ]

    assert [answer.status_code for answer in answers] == [400] * 4, [answer.text for answer in answers]
    assert (await clinic.counts())["resources"] == before
    assert [said(event)[1] for event in recorded.events] == ["4"] * 4


async def test_r_fhir_043_one_unknown_parameter_spoils_the_others(doctor: Caller, number: str) -> None:
    first = await doctor.store(known_as(number))
    path = f"/fhir/Patient?{criteria(number)}&colour=red"

    assert (await doctor.delete(path, Prefer="handling=lenient")).status_code == 400
    assert await matches(doctor, number) == [first]


@pytest.mark.parametrize("letters", ["cud", "crud"])
async def test_r_smart_049_a_condition_needs_the_right_to_search(clinic: InProcess, number: str, letters: str) -> None:
    who = clinic.caller(f"system/Patient.{letters}")
    path = f"/fhir/Patient?{criteria(number)}"

    answers = [
        await create(who, number),
        await who.put(path, known_as(number)),
        await who.ask("PATCH", path, GENDER, **PATCH),
        await who.delete(path),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4


async def test_r_smart_049_the_right_to_search_is_not_the_right_to_write(clinic: InProcess, number: str) -> None:
    who = clinic.caller("system/Patient.rs")
    path = f"/fhir/Patient?{criteria(number)}"

    answers = [await create(who, number), await who.put(path, known_as(number)), await who.delete(path)]

    assert [answer.status_code for answer in answers] == [403] * 3


async def test_r_smart_048_who_may_not_read_is_told_where_but_not_what(clinic: InProcess, number: str) -> None:
    who = clinic.caller("system/Patient.cs")

    answers = [await create(who, number), await create(who, number)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert [answer.content for answer in answers] == [b"", b""]
    assert answers[0].headers["location"] == answers[1].headers["location"]


async def test_r_fhir_010_a_photo_that_is_hidden_neither_matches_nor_stands_in_the_way(
    doctor: Caller, number: str
) -> None:
    """Its basis is gone, so the caller does not see it; a new consent lets a new one be stored."""
    person = (await doctor.store(patient()))["id"]
    other = (await doctor.store(patient()))["id"]
    given = await doctor.store(consent(person))
    await doctor.store(consent(other))
    shared = {"identifier": [{"system": SYSTEM, "value": number}]}
    hidden = await doctor.store(media(person, jpeg(), **shared))
    await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")

    answer = await doctor.post("/fhir/Media", media(other, jpeg(), **shared), If_None_Exist=criteria(number))

    assert answer.status_code == 201, answer.text
    assert hidden["id"] not in answer.text


@pytest.mark.parametrize(
    "query", ["_id={id}", "_lastUpdated=ge2199", "family:exact={id}", "gender:missing=true&_id={id}"]
)
async def test_r_fhir_010_any_parameter_may_be_a_condition(doctor: Caller, number: str, query: str) -> None:
    """Also those that are found by an address and not by a token."""
    id = f"any-{number}"
    sent = query.format(id=id)

    assert (await doctor.put(f"/fhir/Patient?{sent}", patient(id=id))).status_code == 201
    assert (await doctor.get(f"/fhir/Patient/{id}")).status_code == 200


async def test_r_fhir_010_an_update_with_if_none_match_writes_the_first_version_alone(
    clinic: InProcess, doctor: Caller, number: str
) -> None:
    path, body = f"/fhir/Patient/new-{number}", patient("New", id=f"new-{number}")

    answers = await asyncio.gather(*(doctor.put(path, body, If_None_Match="*") for _ in range(8)))
    async with clinic.trail.recording() as recorded:
        late = await doctor.put(path, body, If_None_Match="*")

    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 7
    assert late.status_code == 412
    assert read(await doctor.get(path))["meta"]["versionId"] == "1"
    assert said(recorded.only)[1] == "4"
