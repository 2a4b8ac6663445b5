"""Bulk exports over HTTP, as the guide's clients make them: R-BULK-001 to -036.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.flows.exporting import ASKING, Export, begun, ended, exported, kick_off, lines, local
from tests.people import staff
from tests.samples import consent, jpeg, media, patient
from tests.trail import named

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    """One of its own: an export holds everything."""
    data_dir: Path = tmp_path_factory.mktemp("exports")
    async with running(mongo_uri, "test_exports", data_dir) as inside:
        yield inside


def observation(id: str, of: str, status: str = "final") -> Json:
    found: Json = {"resourceType": "Observation", "id": id, "status": status, "code": {"text": "Skin type"}}
    return {**found, "subject": {"reference": f"Patient/{of}"}}


@pytest.fixture(scope="module")
async def service(clinic: InProcess) -> Caller:
    return clinic.caller("system/*.rs", client="warehouse")


@pytest.fixture(scope="module")
async def filled(clinic: InProcess) -> Caller:
    """Three patients, two of them in a group; what is observed of each; an organization."""
    doctor = clinic.caller()
    for id in ("ann", "ben", "cat"):
        await doctor.store({**patient("Ärmel"), "id": id})
        await doctor.store(observation(f"of-{id}", id))
    await doctor.store({"resourceType": "Organization", "id": "clinic", "name": "Clinic"})
    members: list[Json] = [{"entity": {"reference": f"Patient/{id}"}} for id in ("ann", "ben")]
    members.append({"entity": {"reference": "Patient/cat"}, "inactive": True})
    await doctor.store({"resourceType": "Group", "id": "two", "type": "person", "actual": True, "member": members})
    return doctor


async def test_r_bulk_001_021_022_023_029_everything_comes_out_as_it_was_stored(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    found = await exported(clinic, service, "/fhir/$export")

    assert found.ids("Patient") == {"ann", "ben", "cat"}
    assert {"Organization", "Group", "Observation"} <= found.files.keys()
    assert found.files["Observation"][0] == read(
        await filled.get(f"/fhir/Observation/{found.files['Observation'][0]['id']}")
    )
    assert found.manifest["request"] == f"{clinic.base}/$export"
    assert found.manifest["requiresAccessToken"] is True
    assert found.manifest["error"] == []
    assert "deleted" not in found.manifest
    assert "AuditEvent" not in found.files


async def test_r_bulk_001_an_export_of_patients_holds_their_compartments_alone(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    found = await exported(clinic, service, "/fhir/Patient/$export")

    assert found.ids("Patient") == {"ann", "ben", "cat"}
    assert found.ids("Observation") == {"of-ann", "of-ben", "of-cat"}
    assert "Organization" not in found.files


async def test_r_bulk_016_040_an_export_of_a_group_holds_its_members_alone(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    found = await exported(clinic, service, "/fhir/Group/two/$export")

    assert found.ids("Patient") == {"ann", "ben"}
    assert found.ids("Observation") == {"of-ann", "of-ben"}


async def test_r_bulk_016_a_group_that_is_not_there_or_not_granted_is_refused(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    narrow = clinic.caller("system/Patient.rs", client="warehouse")

    assert (await kick_off(service, "/fhir/Group/none/$export")).status_code == 404
    assert (await kick_off(narrow, "/fhir/Group/two/$export")).status_code == 403


async def test_r_bulk_002_013_a_kick_off_by_post_names_patients(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    body: Json = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueReference": {"reference": "Patient/ben"}},
            {"name": "_type", "valueString": "Patient,Observation"},
        ],
    }

    found = await exported(clinic, service, "/fhir/Patient/$export", body, Content_Type="application/json")

    assert found.ids("Patient") == {"ben"}
    assert found.ids("Observation") == {"of-ben"}


@pytest.mark.parametrize("path", ["/fhir/$export", "/fhir/Group/two/$export"])
async def test_r_bulk_013_a_patient_who_is_out_of_reach_is_refused(service: Caller, filled: Caller, path: str) -> None:
    body: Json = {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "valueReference": {"reference": "Patient/cat"}}],
    }

    assert (await kick_off(service, path, body)).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [{"Accept": "application/fhir+json"}, {"Accept": "text/html", "Prefer": "respond-async"}],
)
async def test_r_bulk_003_both_headers_are_asked_for(service: Caller, headers: dict[str, str]) -> None:
    answer = await service.get("/fhir/$export", **headers)

    assert 400 <= answer.status_code < 500
    assert read(answer)["resourceType"] == "OperationOutcome"


async def test_r_bulk_003_without_accept_it_is_refused(clinic: InProcess) -> None:
    request = clinic.http.build_request(
        "GET", "/fhir/$export", headers={**clinic.caller("system/*.rs").headers, "Prefer": "respond-async"}
    )
    del request.headers["accept"]

    assert (await clinic.http.send(request)).status_code == 406


async def test_r_bulk_004_005_prefer_is_a_list(service: Caller, filled: Caller) -> None:
    status = await begun(service, "/fhir/$export", Prefer="respond-async, handling=lenient")

    assert (await service.delete(status)).status_code == 202


@pytest.mark.parametrize(
    "query",
    [
        "_outputFormat=text/csv",
        "_since=yesterday",
        "_since=2026-03-14",
        "_since=2999-01-01T00:00:00Z",
        "_since=2026-02-31T00:00:00Z",
        "_type=Patient,Nonsense",
        "_typeFilter=Observation",
        "_typeFilter=Observation?status=final&_type=Patient",
        "_typeFilter=Observation?nonsense=1",
        "_typeFilter=Observation?_sort=date",
        "_elements=nonsense",
        "_elements=Nonsense.id",
        "includeAssociatedData=LatestProvenanceResources",
        "patient=Patient/ann",
        "nonsense=1",
    ],
)
async def test_r_bulk_007_008_010_011_014_what_is_wrong_is_said_at_once(
    service: Caller, filled: Caller, query: str
) -> None:
    answer = await kick_off(service, f"/fhir/$export?{query}")

    assert answer.status_code == 400, answer.text
    assert read(answer)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "name", ["application/fhir+ndjson", "application/fhir%2Bndjson", "application/ndjson", "ndjson"]
)
async def test_r_bulk_007_each_name_of_the_format_is_known(service: Caller, filled: Caller, name: str) -> None:
    status = await begun(service, f"/fhir/$export?_outputFormat={name}")

    assert (await service.delete(status)).status_code == 202


async def test_r_bulk_011_type_filters_unite_and_a_type_without_one_is_whole(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    query = "_type=Observation,Patient&_typeFilter=Observation?patient=ann&_typeFilter=Observation%3Fpatient%3Dben"

    found = await exported(clinic, service, f"/fhir/$export?{query}")

    assert found.ids("Observation") == {"of-ann", "of-ben"}
    assert found.ids("Patient") == {"ann", "ben", "cat"}


async def test_r_bulk_011_lenient_handling_tells_what_it_left_out(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    query = "_type=Patient,Nonsense&organizeOutputBy=Patient"

    found = await exported(clinic, service, f"/fhir/$export?{query}", Prefer="respond-async, handling=lenient")

    assert found.files.keys() == {"Patient"}
    assert [one["resourceType"] for one in found.errors] == ["OperationOutcome"] * 2


async def test_r_bulk_012_elements_are_kept_with_what_is_mandatory_and_tagged(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    found = await exported(clinic, service, "/fhir/$export?_type=Patient,Observation&_elements=Observation.subject")

    [one] = [each for each in found.files["Observation"] if each["id"] == "of-ann"]
    assert one.keys() == {"resourceType", "id", "meta", "status", "code", "subject"}
    assert one["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "name" in found.files["Patient"][0]


async def test_r_bulk_015_scopes_say_which_types_come_out(clinic: InProcess, filled: Caller) -> None:
    narrow = clinic.caller("system/Patient.rs", client="narrow")

    assert (await exported(clinic, narrow, "/fhir/$export")).files.keys() == {"Patient"}
    assert (await kick_off(narrow, "/fhir/$export?_type=Patient,Observation")).status_code == 403


async def test_r_bulk_006_without_a_token_nothing_is_begun_shown_or_ended(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    found = await exported(clinic, service, "/fhir/$export?_type=Patient")

    paths = ["/fhir/$export", found.status, local(found.manifest["output"][0]["url"])]
    for answer in [
        *[await clinic.stranger.get(path, **ASKING) for path in paths[:2]],
        await clinic.stranger.get(paths[2]),
        await clinic.stranger.delete(found.status),
    ]:
        assert answer.status_code == 401
        assert read(answer)["resourceType"] == "OperationOutcome"


async def test_r_bulk_027_another_client_learns_of_nothing(clinic: InProcess, service: Caller, filled: Caller) -> None:
    found = await exported(clinic, service, "/fhir/$export?_type=Patient")
    other = clinic.caller("system/*.rs", client="other")

    assert (await other.get(found.status)).status_code == 404
    assert (await other.get(local(found.manifest["output"][0]["url"]))).status_code == 404
    assert (await other.delete(found.status)).status_code == 404
    assert (await service.get(found.status)).status_code == 200


@pytest.mark.parametrize("role", ["practitioner", "auditor", "administrator", "patient", "marketing"])
async def test_s_60_no_persons_role_takes_anything_out_in_bulk(
    clinic: InProcess, service: Caller, filled: Caller, role: str
) -> None:
    """Neither by an export of its own nor by one of the service, whose client it shares."""
    found = await exported(clinic, service, "/fhir/$export?_type=Organization,Patient")
    who = staff(clinic, role, client="warehouse", patient="ann")

    async with clinic.trail.recording() as recorded:
        refused = await kick_off(who, "/fhir/$export?_type=Organization")

    assert refused.status_code == 403
    assert recorded.only["outcome"] != "0"
    for path in ("/fhir/Patient/$export", "/fhir/Group/two/$export"):
        assert (await kick_off(who, path)).status_code in {403, 404}, path
    for place in (found.status, *(local(one["url"]) for one in found.manifest["output"])):
        assert (await who.get(place)).status_code == 404
    assert (await who.delete(found.status)).status_code == 404
    assert (await service.get(found.status)).status_code == 200


async def test_r_bulk_030_a_token_for_another_type_does_not_open_the_file(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    found = await exported(clinic, service, "/fhir/$export?_type=Patient")
    observer = clinic.caller("system/Observation.read", client="warehouse")

    assert (await observer.get(local(found.manifest["output"][0]["url"]))).status_code == 403


async def test_r_bulk_018_019_the_first_look_finds_it_running(service: Caller, filled: Caller) -> None:
    status = await begun(service, "/fhir/$export")

    answer = await service.get(status, Accept="application/json")

    assert answer.status_code == 202
    assert int(answer.headers["retry-after"]) > 0
    assert len(answer.headers["x-progress"]) < 100
    await service.delete(status)


@pytest.mark.parametrize("is_done", [False, True])
async def test_r_bulk_026_what_is_ended_is_gone(
    clinic: InProcess, service: Caller, filled: Caller, *, is_done: bool
) -> None:
    status = await begun(service, "/fhir/$export?_type=Patient")
    files = read(await ended(clinic, service, status))["output"] if is_done else []

    assert (await service.delete(status)).status_code == 202
    assert (await service.get(status)).status_code == 404
    assert (await service.delete(status)).status_code == 404
    for each in files:
        assert (await service.get(local(each["url"]))).status_code == 404


async def test_r_bulk_017_too_many_at_once_are_refused_for_a_while(clinic: InProcess, filled: Caller) -> None:
    greedy = clinic.caller("system/*.rs", client="greedy")
    begun_ones = [await begun(greedy, "/fhir/$export") for _ in range(10)]

    answer = await kick_off(greedy, "/fhir/$export")

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    for status in begun_ones:
        await greedy.delete(status)


async def test_r_bulk_028_a_file_comes_packed_and_without_accept(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    await filled.store({**observation("long", "ann"), "note": [{"text": "unchanged " * 1_000}]})
    await asyncio.sleep(0.005)
    found = await exported(clinic, service, "/fhir/$export?_type=Observation")
    url = local(found.manifest["output"][0]["url"])

    packed = await service.get(url, Accept_Encoding="gzip, deflate, br")
    request = clinic.http.build_request("GET", url, headers=dict(service.headers))
    del request.headers["accept"]

    assert packed.headers["content-encoding"] == "gzip"
    assert (await clinic.http.send(request)).status_code == 200
    assert (await service.get(url, Accept="text/html")).status_code == 406


async def test_r_bulk_008_024_033_a_next_run_brings_what_changed_and_what_was_deleted(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    await filled.store(observation("leaving", "ann"))
    await asyncio.sleep(0.005)
    first = await exported(clinic, service, "/fhir/Patient/$export")
    await asyncio.sleep(0.005)
    await filled.store(observation("coming", "ann"))
    await filled.delete("/fhir/Observation/leaving")
    await asyncio.sleep(0.005)

    second = await exported(clinic, service, f"/fhir/Patient/$export?_since={first.manifest['transactionTime']}")

    assert second.ids("Observation") == {"coming"}
    assert "Patient" not in second.files
    [bundle] = second.deleted
    assert bundle["type"] == "transaction"
    assert [entry["request"] for entry in bundle["entry"]] == [{"method": "DELETE", "url": "Observation/leaving"}]


async def test_r_bulk_024_what_is_written_after_the_kick_off_comes_as_it_was_before(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    await filled.store(observation("revised", "ann", "preliminary"))
    await filled.store(observation("removed", "ann"))
    await asyncio.sleep(0.005)
    status = await begun(service, "/fhir/$export?_type=Observation")
    await asyncio.sleep(0.005)
    await filled.store(observation("revised", "ann", "final"))
    await filled.store(observation("too-late", "ann"))
    await filled.delete("/fhir/Observation/removed")

    manifest = read(await ended(clinic, service, status))
    found = {one["id"]: one for each in manifest["output"] for one in await lines(service, each["url"])}

    assert found["revised"]["status"] == "preliminary"
    assert "removed" in found
    assert "too-late" not in found


async def test_what_was_erased_takes_the_file_with_it(clinic: InProcess, service: Caller, filled: Caller) -> None:
    await filled.store(observation("secret", "ann"))
    await asyncio.sleep(0.005)
    found = await exported(clinic, service, "/fhir/$export?_type=Observation")
    database = clinic.mongo[clinic.database]
    row = await database["resources"].find_one_and_delete({"_id": "Observation/secret"})
    assert row is not None

    answer = await service.get(local(found.manifest["output"][0]["url"]))

    assert answer.status_code == 410
    assert read(answer)["issue"][0]["code"] == "deleted"


async def test_nothing_of_a_resource_is_kept_for_an_export(clinic: InProcess, service: Caller, filled: Caller) -> None:
    await exported(clinic, service, "/fhir/$export?_typeFilter=Patient?family=Ärmel")

    database = clinic.mongo[clinic.database]
    rows = [row for name in ("exports", "export_files") for row in await database[name].find({}).to_list()]
    assert rows
    assert all("rmel" not in str({key: value for key, value in row.items() if key != "sealed"}) for row in rows)
    assert all(b"rmel" not in row["sealed"] for row in rows)


async def test_an_export_that_expired_is_gone(clinic: InProcess, service: Caller, filled: Caller) -> None:
    found = await exported(clinic, service, "/fhir/$export?_type=Patient")
    jobs = clinic.clinic.store.exports
    id = found.status.rpartition("/")[2]
    job = await jobs.get(id)
    assert job is not None
    assert await jobs.save(replace(job, expires=job.expires - timedelta(hours=25))) is not None

    assert (await service.get(found.status)).status_code == 404


async def test_r_bulk_020_a_finished_export_says_when_it_goes(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    status = await begun(service, "/fhir/$export?_type=Patient")

    answer = await ended(clinic, service, status)

    assert "expires" in answer.headers
    assert read(answer)["transactionTime"] <= instant(clinic.clinic.surface.clock.now())


async def test_t_58_every_download_is_recorded_for_each_patient(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    found: Export = await exported(clinic, service, "/fhir/$export?_type=Patient")

    async with clinic.trail.recording() as recorded:
        await lines(service, found.manifest["output"][0]["url"])

    assert {f"Patient/{id}" for id in found.ids("Patient")} <= {
        one for event in recorded.events for one in named(event)
    }
    assert len(recorded.events) == len(found.ids("Patient"))


async def test_r_bulk_034_035_the_statement_tells_of_exports_by_both_names(clinic: InProcess) -> None:
    statement = read(await clinic.stranger.get("/fhir/metadata"))
    [rest] = statement["rest"]
    bulk, others = "http://hl7.org/fhir/uv/bulkdata", {"regulator-export", "reversibility-export"}

    def told(operations: list[Json]) -> set[tuple[str, str]]:
        return {
            (each["name"], each["definition"])
            for each in operations
            if each["name"].split("-")[-1] == "export" and each["name"] not in others
        }

    assert statement["instantiates"] == [f"{bulk}/CapabilityStatement/bulk-data"]
    assert told(rest["operation"]) == {("export", f"{bulk}/OperationDefinition/export")}
    for type, name in (("Patient", "patient-export"), ("Group", "group-export")):
        [one] = [each for each in rest["resource"] if each["type"] == type]
        definition = f"{bulk}/OperationDefinition/{name}"
        assert told(one["operation"]) == {("export", definition), (name, definition)}


async def test_r_bulk_025_a_job_that_failed_says_why(clinic: InProcess, service: Caller, filled: Caller) -> None:
    status = await begun(service, "/fhir/$export?_type=Patient")
    jobs = clinic.clinic.store.exports
    job = await jobs.get(status.rpartition("/")[2])
    assert job is not None
    assert await jobs.save(replace(job, state="failed", failure=(400, "too-costly", "Narrow it.")))

    answer = await service.get(status, Accept="application/json")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/fhir+json"
    assert read(answer)["issue"][0]["code"] == "too-costly"


async def test_r_bulk_032_a_photo_is_fetched_at_its_own_address_under_the_same_token(
    clinic: InProcess, service: Caller, filled: Caller
) -> None:
    await filled.store(consent("ann"))
    await filled.store(media("ann", jpeg()))
    withdrawn = await filled.store(consent("ben"))
    await filled.store(media("ben", jpeg()))
    assert (await filled.post(f"/fhir/Consent/{withdrawn['id']}/$withdraw")).status_code == 200
    await asyncio.sleep(0.005)

    found = await exported(clinic, service, "/fhir/Patient/$export?_type=Media")

    [one] = found.files["Media"]
    assert one["subject"]["reference"] == "Patient/ann"
    content = one["content"]
    assert content["contentType"] == "image/jpeg"
    assert "data" not in content
    assert content["url"].startswith(clinic.base)
    photo = await service.get(local(content["url"]), Accept="image/jpeg")
    assert photo.status_code == 200
    assert len(photo.content) == int(content["size"])
