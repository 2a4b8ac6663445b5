"""JSON Patch and FHIRPath Patch over HTTP, alone and as entries of a bundle.

R-FHIR-012, 014, 066; https://hl7.org/fhir/R4/http.html#patch
"""

import asyncio
import base64
import json
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient
from tests.trail import said

pytestmark = pytest.mark.anyio

JSON_PATCH = "application/json-patch+json"


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture
async def person(doctor: Caller) -> Json:
    return await doctor.store(patient("Patched", active=True))


def operations(value: Any = "female", path: str = "/gender", op: str = "add") -> str:
    return json.dumps([{"op": op, "path": path, "value": value}])


def parameters(code: str = "female", kind: str = "add", path: str = "Patient", name: str = "gender") -> Json:
    parts: list[Json] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    if kind == "add":
        parts.append({"name": "name", "valueString": name})
    parts.append({"name": "value", "valueCode": code})
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def in_binary(text: str) -> Json:
    return {"resourceType": "Binary", "contentType": JSON_PATCH, "data": base64.b64encode(text.encode()).decode()}


def bundle(kind: str, *entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(resource: Json, url: str, **more: Any) -> Json:
    return {"resource": resource, "request": {"method": "PATCH", "url": url, **more}}


async def by_json(who: Caller, id: str, body: str, **headers: str) -> Any:
    return await who.ask("PATCH", f"/fhir/Patient/{id}", body, Content_Type=JSON_PATCH, **headers)


async def test_s_56_r_fhir_014_a_json_patch_makes_the_next_version(
    clinic: InProcess, doctor: Caller, person: Json
) -> None:
    async with clinic.trail.recording() as recorded:
        answer = await by_json(doctor, person["id"], operations())

    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == 'W/"2"'
    told = read(answer)
    meta = {"versionId": "2", "lastUpdated": told["meta"]["lastUpdated"]}
    assert told == {**person, "gender": "female", "text": told["text"], "meta": {**person["meta"], **meta}}
    assert "Gender: female" in told["text"]["div"], "the narrative that the server wrote follows"
    assert read(await doctor.get(f"/fhir/Patient/{person['id']}")) == told
    assert said(recorded.only) == ("patch", "0")


@pytest.mark.parametrize(
    "media_type", ["application/fhir+json", "application/json", "application/fhir+json; charset=utf-8"]
)
async def test_r_fhir_066_a_fhirpath_patch_makes_the_next_version(
    doctor: Caller, person: Json, media_type: str
) -> None:
    path = f"/fhir/Patient/{person['id']}"

    added = await doctor.ask("PATCH", path, parameters(), Content_Type=media_type)
    replaced = await doctor.ask("PATCH", path, parameters("male", "replace", "Patient.gender"))

    assert (added.status_code, replaced.status_code) == (200, 200)
    assert [read(one)["gender"] for one in (added, replaced)] == ["female", "male"]
    assert replaced.headers["etag"] == 'W/"3"'


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json; charset=utf-8"])
async def test_r_fhir_014_a_merge_patch_makes_the_next_version(
    clinic: InProcess, doctor: Caller, person: Json, media_type: str
) -> None:
    """PyPI's fhirpy sends it as mere JSON."""
    path = f"/fhir/Patient/{person['id']}"

    async with clinic.trail.recording() as recorded:
        answer = await doctor.ask("PATCH", path, '{"gender": "female", "active": null}', Content_Type=media_type)

    assert answer.status_code == 200, answer.text
    told = read(answer)
    assert (told["gender"], told["name"], told["meta"]["versionId"]) == ("female", person["name"], "2")
    assert "active" not in told
    assert said(recorded.only) == ("patch", "0")
    wrong = await doctor.ask("PATCH", path, '{"gender": "nope"}', Content_Type=media_type)
    assert wrong.status_code == 422


async def test_r_fhir_014_the_history_tells_that_it_was_patched(doctor: Caller, person: Json) -> None:
    await by_json(doctor, person["id"], operations())

    found = read(await doctor.get(f"/fhir/Patient/{person['id']}/_history"))["entry"]

    assert [one["request"]["method"] for one in found] == ["PATCH", "POST"]


async def test_r_fhir_014_what_changes_nothing_makes_no_version(
    clinic: InProcess, doctor: Caller, person: Json
) -> None:
    async with clinic.trail.recording() as recorded:
        answer = await by_json(doctor, person["id"], operations(value=True, path="/active", op="test"))

    assert answer.status_code == 200
    assert answer.headers["etag"] == 'W/"1"'
    assert said(recorded.only) == ("patch", "0")


async def test_r_fhir_012_a_stale_if_match_is_412_and_nothing_is_written(
    clinic: InProcess, doctor: Caller, person: Json
) -> None:
    path = f"/fhir/Patient/{person['id']}"

    async with clinic.trail.recording() as recorded:
        answers = [
            await by_json(doctor, person["id"], operations(), If_Match='W/"2"'),
            await doctor.ask("PATCH", path, parameters(), If_Match='W/"2"'),
        ]
    good = await by_json(doctor, person["id"], operations(), If_Match='W/"1"')

    assert [answer.status_code for answer in answers] == [412, 412]
    assert good.headers["etag"] == 'W/"2"'
    assert [said(event)[1] for event in recorded.events] == ["4", "4"]


async def test_r_fhir_012_of_many_that_name_one_version_one_wins(doctor: Caller, person: Json) -> None:
    codes = [f"name-{number}" for number in range(10)]

    answers = await asyncio.gather(
        *(by_json(doctor, person["id"], operations(code, "/name/0/family"), If_Match='W/"1"') for code in codes)
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    assert read(await doctor.get(f"/fhir/Patient/{person['id']}"))["meta"]["versionId"] == "2"


async def test_r_fhir_014_many_at_once_lose_nothing_of_each_other(doctor: Caller, person: Json) -> None:
    given = [f"Name{number}" for number in range(4)]

    answers = await asyncio.gather(
        *(by_json(doctor, person["id"], operations(name, "/name/0/given/-")) for name in given)
    )

    assert {answer.status_code for answer in answers} == {200}
    assert {*given} <= {*read(await doctor.get(f"/fhir/Patient/{person['id']}"))["name"][0]["given"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (operations("other", "/gender", "test"), 422),
        (operations("nonsense"), 422),
        (operations("x", "/colour"), 422),
        (operations("x", "/nowhere/0/deep"), 422),
        (operations("other", "/id"), 422),
        (operations("Observation", "/resourceType"), 422),
        (json.dumps([{"op": "remove", "path": "/id"}]), 422),
        ("{", 400),
        ("", 400),
        ("{}", 400),
        ('[{"op": "explode", "path": "/gender"}]', 400),
    ],
)
async def test_r_fhir_014_a_bad_json_patch_is_refused_and_recorded(
    clinic: InProcess, doctor: Caller, person: Json, body: str, status: int
) -> None:
    async with clinic.trail.recording() as recorded:
        answer = await by_json(doctor, person["id"], body)

    assert answer.status_code == status, answer.text
    assert read(answer)["resourceType"] == "OperationOutcome"
    assert read(await doctor.get(f"/fhir/Patient/{person['id']}")) == person
    assert said(recorded.only)[1] == "4"


@pytest.mark.parametrize("path", ["/meta/versionId", "/meta/lastUpdated"])
async def test_r_fhir_014_the_servers_own_elements_are_not_the_clients(doctor: Caller, person: Json, path: str) -> None:
    await by_json(doctor, person["id"], operations("77", path, "replace"))

    meta = read(await doctor.get(f"/fhir/Patient/{person['id']}"))["meta"]
    assert meta["versionId"] in {"1", "2"}
    assert meta["lastUpdated"].startswith("20")


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (operations(), "application/fhir+json", 400),
        (operations(), "text/plain", 415),
        (operations(), "application/merge-patch+json", 400),
        (operations(), "application/json", 400),
        (operations(), "application/merge-patch+json; charset=latin-1", 415),
        (operations(), f"{JSON_PATCH}; charset=latin-1", 415),
        ("<Parameters/>", "application/fhir+xml", 415),
        (json.dumps(patient()), "application/fhir+json", 400),
        (json.dumps(parameters()), JSON_PATCH, 400),
    ],
)
async def test_r_fhir_014_each_kind_of_patch_has_its_media_type(
    doctor: Caller, person: Json, body: str, media_type: str, status: int
) -> None:
    answer = await doctor.ask("PATCH", f"/fhir/Patient/{person['id']}", body, Content_Type=media_type)

    assert answer.status_code == status, answer.text


async def test_r_fhir_014_what_is_not_there_is_not_patched(clinic: InProcess, doctor: Caller, person: Json) -> None:
    await doctor.delete(f"/fhir/Patient/{person['id']}")

    assert (await by_json(doctor, "never-was", operations())).status_code == 404
    assert (await by_json(doctor, person["id"], operations())).status_code == 410


async def test_r_fhir_014_a_patch_is_an_update_for_the_scopes(clinic: InProcess, person: Json) -> None:
    assert (await by_json(clinic.caller("system/Patient.rs"), person["id"], operations())).status_code == 403
    alone = await by_json(clinic.caller("system/Patient.u"), person["id"], operations())
    assert (alone.status_code, alone.content) == (200, b""), "who may not read is not shown the result"


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_r_fhir_066_both_kinds_of_patch_stand_in_bundles(
    clinic: InProcess, doctor: Caller, person: Json, kind: str
) -> None:
    other = await doctor.store(patient("Other"))

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post(
            "/fhir",
            bundle(
                kind,
                entry(in_binary(operations()), f"Patient/{person['id']}", ifMatch='W/"1"'),
                entry(parameters("male"), f"Patient/{other['id']}"),
            ),
        )

    assert answer.status_code == 200, answer.text
    assert [one["response"]["status"] for one in read(answer)["entry"]] == ["200", "200"]
    assert [one["response"]["etag"] for one in read(answer)["entry"]] == ['W/"2"', 'W/"2"']
    genders = [read(await doctor.get(f"/fhir/Patient/{one['id']}"))["gender"] for one in (person, other)]
    assert genders == ["female", "male"]
    assert [said(event) for event in recorded.events] == [("patch", "0")] * 2


@pytest.mark.parametrize("kind", ["transaction", "batch"])
@pytest.mark.parametrize(
    ("resource", "more", "status"),
    [
        (in_binary(operations()), {"ifMatch": 'W/"9"'}, 412),
        (parameters(), {"ifMatch": 'W/"9"'}, 412),
        (in_binary("{"), {}, 400),
        ({"resourceType": "Binary", "contentType": JSON_PATCH, "data": "%%%"}, {}, 400),
        ({"resourceType": "Binary", "contentType": "text/plain", "data": "e30="}, {}, 400),
        ({"resourceType": "Binary", "contentType": JSON_PATCH}, {}, 400),
        (patient(), {}, 400),
        (in_binary(operations("nonsense")), {}, 422),
    ],
)
async def test_r_fhir_066_a_bad_patch_fails_its_transaction_or_its_entry_alone(
    clinic: InProcess, doctor: Caller, person: Json, kind: str, resource: Json, more: Json, status: int
) -> None:
    good = {"resource": patient("Beside"), "request": {"method": "POST", "url": "Patient"}}
    before = (await clinic.counts())["resources"]

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post("/fhir", bundle(kind, good, entry(resource, f"Patient/{person['id']}", **more)))

    assert read(await doctor.get(f"/fhir/Patient/{person['id']}")) == person
    outcomes = sorted(said(event)[1] for event in recorded.events)
    if kind == "transaction":
        assert answer.status_code == status, answer.text
        assert "Bundle.entry[1]" in answer.text
        assert (await clinic.counts())["resources"] == before
        assert outcomes == ["4"]
    else:
        assert [one["response"]["status"] for one in read(answer)["entry"]] == ["201", str(status)]
        assert read(answer)["entry"][1]["response"]["outcome"]["issue"]
        assert outcomes == ["0", "4"]


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_r_fhir_014_a_patch_in_a_bundle_that_changes_nothing_is_told_as_200(
    clinic: InProcess, doctor: Caller, person: Json, kind: str
) -> None:
    tested = in_binary(operations(value=True, path="/active", op="test"))

    async with clinic.trail.recording() as recorded:
        answer = await doctor.post("/fhir", bundle(kind, entry(tested, f"Patient/{person['id']}")))

    [told] = read(answer)["entry"]
    assert (told["response"]["status"], told["response"]["etag"]) == ("200", 'W/"1"')
    assert said(recorded.only) == ("patch", "0")
