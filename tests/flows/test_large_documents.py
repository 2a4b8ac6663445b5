"""Documents with large data over HTTP: whatever goes out is what came in, in every interaction."""

import asyncio
import base64
import secrets
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from httpx2 import Response
from starlette.types import Message

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio

JSON_PATCH = "application/json-patch+json"
PDF = b"%PDF-1.7\n" + secrets.token_bytes(1_200_000)
OTHER = b"%PDF-1.4\n" + secrets.token_bytes(2_000_000)


def text(data: bytes, line: int = 0) -> str:
    whole = base64.b64encode(data).decode()
    return "\n".join(whole[at : at + line] for at in range(0, len(whole), line)) if line else whole


def document(person: str, *data: str, **more: Any) -> Json:
    contents = [{"attachment": {"contentType": "application/pdf", "data": one}} for one in data]
    subject = {"reference": f"Patient/{person}"}
    return {"resourceType": "DocumentReference", "status": "current", "subject": subject, "content": contents, **more}


def same(found: Json, sent: Json) -> bool:
    """But for what the server gives: a patient's records have a narrative and a label."""
    given = {"meta": {}, "id": "", "text": {}}
    return {**found, **given} == {**sent, **given}


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture
async def person(doctor: Caller) -> str:
    return str((await doctor.store(patient()))["id"])


def complete(answer: Response) -> Json:
    """Its body, whose length was said beforehand."""
    assert answer.status_code in {200, 201}, answer.text[:300]
    assert answer.headers["content-length"] == str(answer.num_bytes_downloaded)
    found: Json = read(answer)
    return found


async def test_a_document_comes_back_to_the_letter(doctor: Caller, person: str) -> None:
    sent = document(person, text(PDF), text(OTHER, 76))

    made = complete(await doctor.post("/fhir/DocumentReference", sent))
    path = f"/fhir/DocumentReference/{made['id']}"

    for answer in (made, complete(await doctor.get(path)), complete(await doctor.get(f"{path}/_history/1"))):
        assert same(answer, sent)
        assert answer["meta"] == made["meta"]
    assert (await doctor.get(path)).content == json.encode(made)


async def test_head_says_how_long_it_is_and_304_that_it_is_known(doctor: Caller, person: str) -> None:
    made = await doctor.store(document(person, text(PDF)))
    path = f"/fhir/DocumentReference/{made['id']}"

    head = await doctor.ask("HEAD", path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len((await doctor.get(path)).content))
    assert (await doctor.get(path, If_None_Match='W/"1"')).status_code == 304


async def test_lists_give_all_of_it(doctor: Caller, person: str) -> None:
    first, second = document(person, text(PDF)), document(person, text(OTHER, 64))
    made = [await doctor.store(one) for one in (first, second)]
    await doctor.put(f"/fhir/DocumentReference/{made[0]['id']}", {**first, "id": made[0]["id"], "description": "new"})

    found = complete(await doctor.get(f"/fhir/DocumentReference?patient={person}&_sort=_lastUpdated"))
    history = complete(await doctor.get(f"/fhir/DocumentReference/{made[0]['id']}/_history"))
    everything = complete(await doctor.get("/fhir/DocumentReference/_history?_count=3"))

    [older, newer] = [entry["resource"] for entry in found["entry"]]
    assert same(older, second)
    assert same(newer, {**first, "description": "new"})
    [now, before] = [entry["resource"] for entry in history["entry"]]
    assert same(now, newer)
    assert same(before, first)
    assert [entry["resource"]["id"] for entry in everything["entry"]] == [made[0]["id"], made[1]["id"], made[0]["id"]]
    assert same(everything["entry"][1]["resource"], second)


async def test_bundles_bring_it_and_fetch_it(doctor: Caller, person: str) -> None:
    sent = [document(person, text(PDF)), document(person, text(OTHER))]
    entries = [{"request": {"method": "POST", "url": "DocumentReference"}, "resource": one} for one in sent]
    for kind in ("transaction", "batch"):
        made = complete(await doctor.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": entries}))
        urls = [entry["response"]["location"].partition("/fhir/")[2] for entry in made["entry"]]
        gets = [{"request": {"method": "GET", "url": url.partition("/_history")[0]}} for url in urls]
        search = {"request": {"method": "GET", "url": f"DocumentReference?patient={person}&_count=1"}}

        found = complete(await doctor.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": [*gets, search]}))

        resources = [entry["resource"] for entry in found["entry"]]
        assert [same(one, given) for one, given in zip(resources[:2], sent, strict=True)] == [True, True]
        assert any(same(resources[2]["entry"][0]["resource"], one) for one in sent)


async def test_a_stored_bundle_with_it_comes_back(doctor: Caller, person: str) -> None:
    inner = document(person, text(PDF), id="inner")
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}, {"resource": inner}]}

    made = await doctor.store(bundle)

    assert same(complete(await doctor.get(f"/fhir/Bundle/{made['id']}")), bundle)


PATCHES: Mapping[str, Any] = {
    "words": ([{"op": "add", "path": "/description", "value": "later"}], [PDF, OTHER]),
    "one goes": ([{"op": "remove", "path": "/content/0"}], [OTHER]),
    "they change places": ([{"op": "move", "from": "/content/1", "path": "/content/0"}], [OTHER, PDF]),
    "is it still the same": ([{"op": "test", "path": "/content/0/attachment/data", "value": text(PDF)}], [PDF, OTHER]),
}


@pytest.mark.parametrize("name", PATCHES)
async def test_a_patch_leaves_the_data_as_it_is(doctor: Caller, clinic: InProcess, person: str, name: str) -> None:
    made = await doctor.store(document(person, text(PDF), text(OTHER)))
    path = f"/fhir/DocumentReference/{made['id']}"
    kept = (await clinic.counts())["chunks"]
    operations, expected = PATCHES[name]

    patched = complete(await doctor.ask("PATCH", path, json.encode(operations), Content_Type=JSON_PATCH))

    found = complete(await doctor.get(path))
    assert [base64.b64decode(one["attachment"]["data"]) for one in found["content"]] == expected
    assert patched == found
    assert same(complete(await doctor.get(f"{path}/_history/1")), made)
    assert (await clinic.counts())["chunks"] == kept, "the versions share it"


async def test_a_fhirpath_patch_leaves_the_data_as_it_is(doctor: Caller, person: str) -> None:
    made = await doctor.store(document(person, text(PDF)))
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "DocumentReference"},
        {"name": "name", "valueString": "description"},
        {"name": "value", "valueString": "later"},
    ]
    operation = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}

    await doctor.ask("PATCH", f"/fhir/DocumentReference/{made['id']}", operation)

    found = complete(await doctor.get(f"/fhir/DocumentReference/{made['id']}"))
    assert same(found, {**made, "description": "later"})


async def test_conditional_writes_give_and_keep_it(doctor: Caller, clinic: InProcess, person: str) -> None:
    identifier = [{"system": "urn:x", "value": secrets.token_hex(8)}]
    sent = document(person, text(PDF), identifier=identifier)
    criteria = f"identifier=urn:x|{identifier[0]['value']}"
    made = complete(await doctor.post("/fhir/DocumentReference", sent, If_None_Exist=criteria))

    again = complete(await doctor.post("/fhir/DocumentReference", sent, If_None_Exist=criteria))
    replaced = complete(await doctor.put(f"/fhir/DocumentReference?{criteria}", {**sent, "description": "x"}))

    assert again == made
    assert same(replaced, {**sent, "description": "x"})
    rows = clinic.mongo[clinic.database]["attachments"]
    assert await rows.count_documents({"owner": f"DocumentReference/{made['id']}"}) == 1


async def test_a_deleted_document_has_its_data_in_its_history_alone(doctor: Caller, person: str) -> None:
    sent = document(person, text(PDF))
    made = await doctor.store(sent)
    path = f"/fhir/DocumentReference/{made['id']}"

    assert (await doctor.delete(path)).status_code == 204

    assert (await doctor.get(path)).status_code == 410
    assert same(complete(await doctor.get(f"{path}/_history/1")), sent)


async def test_a_consent_with_a_large_form_can_be_withdrawn(doctor: Caller, person: str) -> None:
    """What decides and what withdraws does not need the form; the new version has it all the same."""
    coding = {"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    given = {
        "resourceType": "Consent",
        "status": "active",
        "scope": scope,
        "category": [coding],
        "patient": {"reference": f"Patient/{person}"},
        "policyRule": coding,
        "sourceAttachment": {"contentType": "application/pdf", "data": text(PDF)},
        "provision": {"type": "permit"},
    }
    made = await doctor.store(given)

    withdrawn = complete(await doctor.post(f"/fhir/Consent/{made['id']}/$withdraw"))

    assert withdrawn["status"] == "inactive"
    assert complete(await doctor.get(f"/fhir/Consent/{made['id']}"))["sourceAttachment"] == given["sourceAttachment"]


async def test_each_reading_is_recorded_once(clinic: InProcess, doctor: Caller, person: str) -> None:
    made = await doctor.store(document(person, text(PDF)))

    async with clinic.trail.recording() as recorded:
        await doctor.get(f"/fhir/DocumentReference/{made['id']}")

    assert len(recorded.events) == 1


async def test_erasure_of_the_key_ends_every_version(clinic: InProcess, doctor: Caller, person: str) -> None:
    made = await doctor.store(document(person, text(PDF)))
    path = f"/fhir/DocumentReference/{made['id']}"
    row = await clinic.mongo[clinic.database]["resources"].find_one({"_id": f"DocumentReference/{made['id']}"})
    assert row

    await clinic.clinic.keyring.destroy([row["key"]], "erasure")

    assert (await doctor.get(path)).status_code == 404
    assert (await doctor.get(f"{path}/_history/1")).status_code == 404


async def test_a_page_of_large_documents_is_sent_from_little_memory(
    clinic: InProcess, doctor: Caller, person: str
) -> None:
    for number in range(6):
        await doctor.store(document(person, text(OTHER), description=str(number)))
    sizes: list[int] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sizes.append(len(message.get("body", b"")))

    headers = [(b"authorization", doctor.headers["Authorization"].encode())]
    query = f"patient={person}".encode()
    path = "/fhir/DocumentReference"
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": headers, "client": None}
    tracemalloc.start()
    try:
        await clinic.app({**scope, "asgi": {"spec_version": "2.4"}}, receive, send)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sum(sizes) > 6 * len(OTHER)
    assert max(sizes) < 400_000
    assert peak < 2 * len(OTHER), "six of them were never there at once"


async def test_a_part_of_a_document_is_shown_without_its_data_or_with_it(doctor: Caller, person: str) -> None:
    made = await doctor.store(document(person, text(PDF), description="words"))
    path = f"/fhir/DocumentReference/{made['id']}"

    words = complete(await doctor.get(f"{path}?_elements=description"))
    both = complete(await doctor.get(f"{path}?_elements=content"))
    listed = complete(await doctor.get(f"/fhir/DocumentReference?patient={person}&_summary=text"))

    assert words["description"] == "words"
    assert both["content"] == words["content"] == made["content"], "it is mandatory"
    assert "description" not in both
    assert listed["entry"][0]["resource"]["content"] == made["content"]
    pretty = await doctor.get(f"{path}?_pretty=true", Accept_Encoding="gzip")
    assert same(complete(pretty), made)


async def test_what_is_stored_is_valid_with_its_data(doctor: Caller, person: str) -> None:
    made = await doctor.store(document(person, text(PDF)))

    told = read(await doctor.get(f"/fhir/DocumentReference/{made['id']}/$validate"))

    assert {issue["severity"] for issue in told["issue"]} <= {"information", "warning"}


async def test_large_data_in_an_event_of_the_log_stays_in_it(doctor: Caller, clinic: InProcess) -> None:
    """An event is written once, and whole."""
    source = {"observer": {"display": "A booking system"}}
    agent = {"requestor": True, "who": {"display": "A booking system"}}
    coding = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110100"}
    sent: Json = {"resourceType": "AuditEvent", "type": coding, "recorded": "2026-01-05T09:08:07Z", "source": source}
    sent |= {"agent": [agent], "entity": [{"query": text(PDF), "what": {"display": "A query"}}]}
    sender = clinic.caller("system/AuditEvent.cr")

    made = complete(await sender.post("/fhir/AuditEvent", sent))

    found = complete(await sender.get(f"/fhir/AuditEvent/{made['id']}"))
    assert found["entity"] == sent["entity"]
