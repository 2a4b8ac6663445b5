"""An AuditEvent of an app of the clinic's goes into the same log, under the same seal, and is found beside the others.

R-BALP-019; https://profiles.ihe.net/ITI/BALP
"""

import asyncio
import secrets
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient
from tests.trail import named, said

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

RECEIVED = {
    "system": "urn:aesthetic-fhir-server:audit-origin",
    "code": "received",
    "display": "Received from a client",
}


def event(of: str = "", **more: Any) -> Json:
    entity = [{"what": {"reference": f"Patient/{of}"}}] if of else [{"what": {"display": "the clinic's diary"}}]
    return {
        "resourceType": "AuditEvent",
        "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110100"},
        "recorded": "2026-01-01T10:11:12.5+01:00",
        "agent": [{"requestor": True, "who": {"display": "the capture app"}}],
        "source": {"observer": {"display": "the capture app"}},
        "entity": entity,
        **more,
    }


def entry(method: str, url: str, resource: Json, full_url: str = "") -> Json:
    made: Json = {"request": {"method": method, "url": url}, "resource": resource}
    return {**made, "fullUrl": full_url} if full_url else made


def transaction(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


@pytest.fixture(scope="module")
def app(clinic: InProcess) -> Caller:
    return clinic.caller("system/AuditEvent.c", client="capture-app")


@pytest.fixture(scope="module")
def auditor(clinic: InProcess) -> Caller:
    return clinic.caller("system/AuditEvent.rs")


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller("system/*.cruds", "system/AuditEvent.cruds")


async def test_r_balp_019_an_event_is_kept_as_it_was_sent_and_marked(
    clinic: InProcess, app: Caller, auditor: Caller
) -> None:
    sent = event()

    answer = await app.post("/fhir/AuditEvent", sent)

    assert (answer.status_code, answer.content) == (201, b""), "who may only add is not shown"
    where = answer.headers["location"].removeprefix(f"{clinic.base}/")
    stored = read(await auditor.get(f"/fhir/{where.partition('/_history')[0]}"))
    assert {name: value for name, value in stored.items() if name not in {"id", "meta"}} == sent
    assert stored["meta"]["tag"] == [RECEIVED]
    assert stored["meta"]["versionId"] == "1"
    assert read(await auditor.get(f"/fhir/{where}")) == stored


async def test_the_server_records_who_sent_it(clinic: InProcess, app: Caller) -> None:
    async with clinic.trail.recording() as recorded:
        answer = await app.post("/fhir/AuditEvent", event())

    sent, ours = recorded.events
    assert sent["meta"]["tag"] == [RECEIVED]
    assert said(ours) == ("create", "0")
    assert "capture-app" in str(ours["agent"])
    assert f"AuditEvent/{sent['id']}/_history/1" in named(ours)
    assert answer.headers["location"].endswith(f"AuditEvent/{sent['id']}/_history/1")
    assert answer.headers["x-request-id"] in str(ours)


@pytest.mark.parametrize("scope", ["system/AuditEvent.c", "user/AuditEvent.cruds", "system/AuditEvent.write"])
async def test_r_balp_019_its_own_scope_opens_the_log_for_adding(clinic: InProcess, scope: str) -> None:
    answer = await clinic.caller(scope).post("/fhir/AuditEvent", event())

    assert answer.status_code == 201


async def test_r_balp_018_it_is_found_as_the_servers_own_are(clinic: InProcess, app: Caller, auditor: Caller) -> None:
    who = (await clinic.caller().store(patient()))["id"]
    sent = (await app.post("/fhir/AuditEvent", event(who))).headers["location"].split("/")[-3]

    found = read(await auditor.get(f"/fhir/AuditEvent?patient={who}"))
    marked = read(await auditor.get(f"/fhir/AuditEvent?patient={who}&_tag={RECEIVED['system']}|received"))

    assert sent in {each["resource"]["id"] for each in found["entry"]}
    assert len(found["entry"]) > 1, "beside what the server recorded"
    assert [each["resource"]["id"] for each in marked["entry"]] == [sent]


async def test_a_patients_app_adds_to_the_patients_own_log_alone(clinic: InProcess) -> None:
    own, other = [(await clinic.caller().store(patient()))["id"] for _ in range(2)]
    app = clinic.caller("patient/AuditEvent.cr", patient=own)

    assert (await app.post("/fhir/AuditEvent", event(own))).status_code == 201
    assert (await app.post("/fhir/AuditEvent", event(other))).status_code == 403


async def test_it_lies_in_the_log_sealed_and_numbered_like_the_others(clinic: InProcess, app: Caller) -> None:
    mark = f"mark{secrets.token_hex(8)}"
    resources = (await clinic.counts())["resources"]

    await asyncio.gather(*(app.post("/fhir/AuditEvent", event(outcomeDesc=mark)) for _ in range(20)))

    rows = await clinic.mongo[clinic.database]["audit"].find({}).to_list()
    assert not any(mark in str(row) for row in rows)
    assert (await clinic.counts())["resources"] == resources
    assert sum(each.get("outcomeDesc") == mark for each in await clinic.trail.events()) == 20
    for writer in {row["_id"]["w"] for row in rows}:
        numbers = sorted(row["_id"]["n"] for row in rows if row["_id"]["w"] == writer)
        assert numbers == list(range(1, len(numbers) + 1))


async def test_altering_one_is_found_when_it_is_opened(clinic: InProcess, app: Caller, auditor: Caller) -> None:
    id = (await app.post("/fhir/AuditEvent", event())).headers["location"].split("/")[-3]
    writer, _, number = id.partition("-")
    place = {"_id": {"w": writer, "n": int(number)}}
    audit = clinic.mongo[clinic.database]["audit"]
    row = await audit.find_one(place)
    assert row is not None
    flipped = bytearray(row["sealed"])
    flipped[-1] ^= 1

    try:
        await audit.update_one(place, {"$set": {"sealed": bytes(flipped)}})
        assert (await auditor.get(f"/fhir/AuditEvent/{id}")).status_code == 503
    finally:
        await audit.update_one(place, {"$set": {"sealed": row["sealed"]}})


async def test_a_transaction_adds_events_beside_the_rest_or_nothing(clinic: InProcess, doctor: Caller) -> None:
    name = "urn:uuid:5ac6e2a5-0f0e-4cb3-9c92-5a2ab8f4b4c6"
    entries = [
        entry("POST", "AuditEvent", event() | {"entity": [{"what": {"reference": name}}]}),
        entry("POST", "Patient", patient("Audited"), name),
    ]
    before = await clinic.counts()

    spoiled = await doctor.post("/fhir", transaction(*entries, entry("POST", "Patient", {**patient(), "gender": "x"})))
    assert spoiled.status_code == 422
    assert await clinic.counts() == before

    async with clinic.trail.recording() as recorded:
        done = await doctor.post("/fhir", transaction(*entries))

    answers = [each["response"] for each in read(done)["entry"]]
    assert [each["status"] for each in answers] == ["201", "201"]
    where, person = [each["location"].removeprefix(f"{clinic.base}/") for each in answers]
    stored = read(await doctor.get(f"/fhir/{where}"))
    assert stored["entity"][0]["what"]["reference"] == person.partition("/_history")[0]
    assert where in {name for each in recorded.events for name in named(each)}
    assert len(recorded.events) == 3


async def test_nothing_beside_an_event_refers_to_it(clinic: InProcess, doctor: Caller) -> None:
    name = "urn:uuid:5ac6e2a5-0f0e-4cb3-9c92-5a2ab8f4b4c7"
    about: Json = {
        "resourceType": "List",
        "status": "current",
        "mode": "working",
        "entry": [{"item": {"reference": name}}],
    }
    before = await clinic.counts()

    answer = await doctor.post(
        "/fhir", transaction(entry("POST", "List", about), entry("POST", "AuditEvent", event(), name))
    )

    assert answer.status_code == 422
    assert read(answer)["issue"][0]["expression"] == ["Bundle.entry[0].resource.entry[0].item.reference"]
    assert await clinic.counts() == before


async def test_a_batch_adds_each_by_itself(doctor: Caller) -> None:
    asked = {**transaction(entry("POST", "AuditEvent", event()), entry("POST", "AuditEvent", {})), "type": "batch"}

    answer = read(await doctor.post("/fhir", asked))

    assert [each["response"]["status"] for each in answer["entry"]] == ["201", "400"]


async def test_r_fhir_018_an_event_has_a_history_of_one_version(app: Caller, auditor: Caller) -> None:
    sent = (await app.post("/fhir/AuditEvent", event())).headers["location"].split("/")[-3]
    path = f"/fhir/AuditEvent/{sent}"

    [entry] = read(await auditor.get(f"{path}/_history"))["entry"]

    assert entry["resource"] == read(await auditor.get(f"{path}/_history/1")) == read(await auditor.get(path))
    assert entry["request"] == {"method": "POST", "url": "AuditEvent"}
    assert (entry["response"]["status"], entry["response"]["etag"]) == ("201", 'W/"1"')
    assert "entry" not in read(await auditor.get(f"{path}/_history?_since=2199-01-01T00:00:00Z"))
    assert (await auditor.get(f"{path}/_history/2")).status_code == 404
    assert (await auditor.get("/fhir/AuditEvent/never-1/_history")).status_code == 404


async def test_r_fhir_018_the_log_is_told_newest_first_and_page_by_page(app: Caller, auditor: Caller) -> None:
    sent = [(await app.post("/fhir/AuditEvent", event())).headers["location"].split("/")[-3] for _ in range(3)]
    since = read(await auditor.get(f"/fhir/AuditEvent/{sent[0]}"))["meta"]["lastUpdated"]

    found: list[Json] = []
    url = f"/fhir/AuditEvent/_history?_count=2&_since={quote(since)}"
    while url:
        page = read(await auditor.get(url))
        found += page["entry"]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")

    ids = [entry["resource"]["id"] for entry in found]
    assert [id for id in ids if id in sent] == sent[::-1]
    assert len(set(ids)) == len(ids)
    assert {entry["request"]["method"] for entry in found} == {"POST"}
    times = [entry["response"]["lastModified"] for entry in found]
    assert times == sorted(times, reverse=True)


async def test_r_balp_019_the_history_of_the_log_takes_a_scope_that_names_it(clinic: InProcess) -> None:
    for scope in ("system/*.cruds", "system/AuditEvent.c", "system/AuditEvent.r"):
        assert (await clinic.caller(scope).get("/fhir/AuditEvent/_history")).status_code == 403
