"""Two records of one person made one by the privacy officer, with photos and keys; and made two again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from fhir_server.media.photos_within import shows_photo
from tests.clinics import Caller, InProcess, read, running
from tests.flows.erasures import Record, asking, task
from tests.flows.test_pictures_elsewhere import letter
from tests.flows.withdrawals import until_done
from tests.people import of_patient, staff
from tests.samples import jpeg

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def french(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder: Path = tmp_path_factory.mktemp("merging")
    async with running(mongo_uri, "merging", folder, jurisdiction="fr", worker_interval=3600) as clinic:
        yield clinic


@pytest.fixture
async def two(french: InProcess) -> tuple[Record, Record]:
    return await Record(french).begin(), await Record(french).begin(photos=0)


def pair(source: Record, target: Record, **more: Any) -> Json:
    given: list[Json] = [
        {"name": f"{name}-patient", "valueReference": {"reference": f"Patient/{record.patient}"}}
        for name, record in (("source", source), ("target", target))
    ]
    return {
        "resourceType": "Parameters",
        "parameter": [*given, *({"name": n.replace("_", "-"), **v} for n, v in more.items())],
    }


async def merged(source: Record, target: Record, who: Caller | None = None, **more: Any) -> Response:
    return await (who or source.officer).post("/fhir/Patient/$merge", pair(source, target, **more))


async def unmerged(source: Record, target: Record) -> Response:
    return await source.officer.post("/fhir/Patient/$unmerge", pair(source, target))


def named(answer: Response, name: str) -> list[Json]:
    return [one for one in read(answer)["parameter"] if one["name"] == name]


async def test_the_record_is_found_with_the_other_and_its_photo_opens(
    french: InProcess, two: tuple[Record, Record]
) -> None:
    source, target = two
    before = (await source.desk.get(source.paths["photo0"])).content

    told = await merged(source, target, preview={"valueBoolean": True})
    answer = await merged(source, target)

    assert (told.status_code, answer.status_code) == (200, 200), answer.text
    assert named(told, "moved") == named(answer, "moved")
    assert {one["part"][0]["valueCode"] for one in named(answer, "moved")} >= {"Appointment", "Consent", "Media"}
    [result] = named(answer, "result")
    assert result["resource"]["link"][0]["type"] == "replaces"
    media = read(await source.desk.get(source.paths["media0"]))
    assert media["subject"]["reference"] == f"Patient/{target.patient}"
    assert (await source.desk.get(f"/fhir/{media['content']['url']}")).content == before
    assert (await source.desk.get(source.paths["photo0"])).status_code in {404, 410}
    found = read(await source.desk.get(f"/fhir/Patient/{target.patient}/$everything"))
    assert source.paths["observation0"].removeprefix("/fhir/") in {
        f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in found["entry"]
    }
    row = await french.mongo[french.database]["resources"].find_one({"_id": f"Media/{media['id']}"}) or {}
    photo = await french.mongo[french.database]["photos"].find_one({"owner": row["_id"], "state": "live"}) or {}
    assert (row["subjects"], photo["subjects"]) == ([target.patient], [target.patient])
    assert (
        await french.mongo[french.database]["photos"].count_documents({"subjects": source.patient, "state": "live"})
        == 0
    )


@pytest.mark.usefixtures("two")
async def test_a_picture_in_a_document_moves_and_can_still_go_alone(
    french: InProcess, two: tuple[Record, Record]
) -> None:
    source, target = two
    back_end, holdings = french.caller("system/*.cruds", client="archive"), french.clinic.store.holdings
    stored = await back_end.store(letter(source.patient, jpeg(900)))

    answer = await merged(source, target)

    assert answer.status_code == 200, answer.text
    [picture] = await holdings.pictures(target.patient)
    assert (str(picture.resource), picture.current) == (f"DocumentReference/{stored['id']}", True)
    assert picture.key in {one.key for one in await holdings.of(target.patient)}, "an erasure finds it"
    [before] = await holdings.pictures(source.patient)
    assert (before.resource, before.current) == (picture.resource, False)


async def test_with_the_consent_it_goes_under_both_records_keys(mongo_uri: str, tmp_path: Path) -> None:
    async with running(mongo_uri, "merged_pictures", tmp_path, worker_interval=3600) as clinic:
        source, target = await Record(clinic).begin(photos=0), await Record(clinic).begin(photos=0)
        back_end, holdings = clinic.caller("system/*.cruds", client="archive"), clinic.clinic.store.holdings
        stored = await back_end.store(letter(source.patient, jpeg(900)))
        assert (await merged(source, target)).status_code == 200
        await until_done(clinic)
        given = read(await back_end.get(f"/fhir/Consent?patient={target.patient}&status=active"))["entry"]

        for one in given:
            await back_end.post(f"/fhir/Consent/{one['resource']['id']}/$withdraw")
        await until_done(clinic)

        shown = await back_end.get(f"/fhir/DocumentReference/{stored['id']}")
        assert not await shows_photo(read(shown))
        for record in (source, target):
            assert await holdings.pictures(record.patient) == []


async def test_only_whoever_keeps_the_register_merges(french: InProcess, two: tuple[Record, Record]) -> None:
    for role in ("practitioner", "receptionist", "administrator", "auditor"):
        assert (await merged(*two, who=staff(french, role))).status_code == 403
    assert (await merged(*two, who=french.stranger)).status_code == 401


async def test_a_merge_asks_for_two_patients_and_knows_no_other_parameter(two: tuple[Record, Record]) -> None:
    source, target = two
    for body, status in (
        (pair(source, target, reason={"valueString": "x"}), 400),
        ({"resourceType": "Parameters", "parameter": []}, 422),
        (pair(source, target, result_patient={"resource": {"resourceType": "Person"}}), 422),
        (
            pair(
                source,
                target,
                result_patient={"resource": {"resourceType": "Patient", "id": target.patient, "gender": "x"}},
            ),
            422,
        ),
        (pair(source, source), 422),
    ):
        assert (await source.officer.post("/fhir/Patient/$merge", body)).status_code == status
    gone = Record(source.clinic)
    gone.patient = "nobody"
    assert (await merged(gone, target)).status_code == 404


async def test_an_erasure_reaches_what_became_part_of_the_record(french: InProcess, two: tuple[Record, Record]) -> None:
    source, target = two
    rows = french.mongo[french.database]["resources"]
    keys = {row["key"] async for row in rows.find({"subjects": source.patient, "type": "Observation"})}
    await merged(source, target)
    request = await target.desk.store(task(source.patient, "erase"))
    refused = await source.officer.post(f"/fhir/Patient/{source.patient}/$erase", asking(request["id"]))

    answer = await target.erase()
    await until_done(french)

    assert refused.status_code == 409
    assert f"Patient/{target.patient}" in refused.text
    assert answer.status_code == 200, answer.text
    assert await french.clinic.keyring.open_keys(list(keys)) == {}
    assert (await source.desk.get(f"/fhir/Patient/{source.patient}")).status_code == 410
    assert (await source.desk.get(f"{source.paths['observation0']}/_history/1")).status_code in {404, 410}


async def test_who_was_taken_for_somebody_else_sees_nothing_of_theirs_afterwards(
    french: InProcess, two: tuple[Record, Record]
) -> None:
    source, target = two
    path = source.paths["observation0"]
    await merged(source, target)
    them, other = of_patient(french, source.patient), of_patient(french, target.patient)
    assert [(await other.get(f"{path}{version}")).status_code for version in ("", "/_history/2")] == [200, 200]

    answer = await unmerged(source, target)
    await until_done(french)

    assert answer.status_code == 200, answer.text
    assert [(await them.get(f"{path}{version}")).status_code for version in ("", "/_history/1")] == [200, 200]
    for version in ("", "/_history/1", "/_history/2", "/_history/3"):
        assert (await other.get(f"{path}{version}")).status_code == 404
    media = read(await source.desk.get(source.paths["media0"]))
    assert (await source.desk.get(f"/fhir/{media['content']['url']}")).status_code == 200
    assert (
        await french.mongo[french.database]["photos"].count_documents({"subjects": target.patient, "state": "live"})
        == 0
    )
    assert (await unmerged(source, target)).status_code == 409
