"""S52, S96: what one clinic exports another one takes in, as it was; a file that is sent again goes on."""

from collections.abc import AsyncIterator

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.flows.exporting import begun, ended, lines
from tests.people import appointment, observation, staff
from tests.samples import consent, patient

pytestmark = pytest.mark.anyio

NDJSON = "application/fhir+ndjson"


@pytest.fixture(scope="module")
async def source(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "import_from", tmp_path_factory.mktemp("from"), worker_interval=3600) as clinic:
        yield clinic


@pytest.fixture(scope="module")
async def target(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "import_to", tmp_path_factory.mktemp("to"), worker_interval=3600) as clinic:
        yield clinic


def file_of(resources: list[Json]) -> bytes:
    return b"".join(json.encode(one) + b"\n" for one in resources)


async def take(who: Caller, body: bytes, **headers: str) -> dict[str, list[Json]]:
    answer = await who.post("/fhir/$import", body, **{"Content_Type": NDJSON, **headers})
    assert answer.status_code == 200, answer.text
    found: dict[str, list[Json]] = {}
    for one in read(answer)["parameter"]:
        found.setdefault(one["name"], []).append(one)
    return found


def count(taken: dict[str, list[Json]]) -> dict[str, int]:
    return {name: some[0]["valueUnsignedInt"] for name, some in taken.items() if name != "refusal"}


def bare(resource: Json) -> Json:
    meta = {name: value for name, value in resource["meta"].items() if name not in {"versionId", "lastUpdated"}}
    return {**resource, "meta": meta}


async def exported(clinic: InProcess) -> dict[str, list[Json]]:
    caller = clinic.caller()
    answer = read(await ended(clinic, caller, await begun(caller, "/fhir/$export")))
    files: dict[str, list[Json]] = {}
    for file in answer["output"]:
        files.setdefault(file["type"], []).extend(await lines(caller, file["url"]))
    return files


async def test_s_52_s_96_what_comes_out_of_one_clinic_goes_into_another_as_it_was(
    source: InProcess, target: InProcess
) -> None:
    desk = source.caller()
    for name in ("Ånn", "Bo"):
        person = (await desk.store(patient(name)))["id"]
        await desk.store({**observation(person), "valueQuantity": {"value": 1}})
        await desk.store(consent(person))
        await desk.store(appointment(person, "Practitioner/p", source.clinic.surface.clock.now()))
    files = await exported(source)

    early = await take(target.caller(), file_of(files["Consent"]))
    assert count(early)["refused"] == len(files["Consent"]), "a consent needs its patient"
    order = sorted(files, key=lambda name: name != "Patient")
    taken = [await take(target.caller(), file_of(files[type])) for type in order]

    everything = sum(map(len, files.values()))
    assert not [one["refusal"] for one in taken if "refusal" in one]
    assert sum(count(one)["created"] for one in taken) == everything > 7
    again = await exported(target)
    assert {type: sorted(map(bare, some), key=lambda one: str(one["id"])) for type, some in again.items()} == {
        type: sorted(map(bare, some), key=lambda one: str(one["id"])) for type, some in files.items()
    }


async def test_a_file_that_is_sent_again_goes_on_where_it_stopped(target: InProcess) -> None:
    whole = [{**patient(f"P{number}"), "id": f"again-{number}"} for number in range(60)]
    desk = target.caller()
    await take(desk, file_of(whole[:25]))

    assert count(await take(desk, file_of(whole))) == {"created": 35, "updated": 0, "unchanged": 25, "refused": 0}
    changed = [{**whole[0], "active": False}, *whole[1:]]
    assert count(await take(desk, file_of(changed))) == {"created": 0, "updated": 1, "unchanged": 59, "refused": 0}


async def test_a_line_that_is_refused_is_told_and_hinders_no_other(target: InProcess) -> None:
    good = {**patient("Good"), "id": "good"}
    wrong: list[bytes] = [
        b"no json",
        b"[]",
        json.encode({"resourceType": "Invented", "id": "a"}),
        json.encode(patient("Nameless")),
        json.encode({"resourceType": "AuditEvent", "id": "a"}),
        json.encode({**patient("Wrong"), "id": "wrong", "gender": "invented"}),
    ]

    taken = await take(target.caller(), b"\n".join([*wrong, json.encode(good), b""]))

    assert count(taken) == {"created": 1, "updated": 0, "unchanged": 0, "refused": len(wrong)}
    told = [{part["name"]: part for part in one["part"]} for one in taken["refusal"]]
    assert [one["line"]["valuePositiveInt"] for one in told] == list(range(1, len(wrong) + 1))
    assert told[-1]["expression"]["valueString"] == "Patient.gender"


async def test_scopes_decide_on_each_line(target: InProcess) -> None:
    lines_of = file_of([{**patient("Scoped"), "id": "scoped"}, {**observation("good"), "id": "scoped"}])

    taken = await take(target.caller("system/Patient.cru"), lines_of)

    assert count(taken) == {"created": 1, "updated": 0, "unchanged": 0, "refused": 1}


async def test_it_is_for_back_ends_and_takes_files_alone(target: InProcess) -> None:
    body = file_of([{**patient("No"), "id": "no"}])

    person = await staff(target, "practitioner").post("/fhir/$import", body, Content_Type=NDJSON)
    typed = await target.caller().post("/fhir/$import", body)
    long = await target.caller().post("/fhir/$import", b"{}\n" * 5_001, Content_Type=NDJSON)

    assert (person.status_code, typed.status_code, long.status_code) == (403, 415, 413)
