"""A photograph of a patient that tries to come in without her consent: inside a URL, or as a picture of others."""

import base64
import time
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.attacks.watch import MARK, Watch
from tests.clinics import Caller, InProcess, read
from tests.flows.bundles import batch
from tests.samples import jpeg, media, patient

pytestmark = pytest.mark.anyio

TAKEN = jpeg(600)
LETTERS = base64.b64encode(TAKEN).decode()

URLS = {
    "as it is meant": f"data:image/jpeg;base64,{LETTERS}",
    "in capitals": f"DATA:IMAGE/JPEG;BASE64,{LETTERS}",
    "under another type": f"data:text/plain;base64,{LETTERS}",
    "under no type": f"data:;base64,{LETTERS}",
    "with parameters": f"data:text/plain;charset=utf-8;x={'y' * 3000};base64,{LETTERS}",
    "in the alphabet of URLs": f"data:;base64,{base64.urlsafe_b64encode(TAKEN).decode()}",
    "its letters escaped": f"data:;base64,{''.join(f'%{ord(letter):02x}' for letter in LETTERS)}",
    "its bytes escaped": f"data:,{quote(TAKEN)}",
    "a drawing": "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E",
    "a film": "data:video/mp4;base64,AAAA",
    "damaged": f"data:;base64,{LETTERS[:-1]}",
}


@pytest.fixture
async def file(clinic: InProcess, watch: Watch) -> Json:
    """Of a patient who never consented; the watch begins with her in place."""
    stored = await clinic.caller().store(patient())
    await watch.begin()
    return stored


def linked(patient_id: str, url: str) -> Json:
    content = {"contentType": "image/jpeg", "url": url, "title": MARK}
    return {**media(patient_id, b""), "content": content}


@pytest.mark.parametrize("name", URLS)
async def test_a_picture_inside_a_url_is_refused_whoever_sends_it(
    clinic: InProcess, mallory: Caller, file: Json, watch: Watch, name: str
) -> None:
    resource = linked(file["id"], URLS[name])

    for caller in (mallory, clinic.caller("user/*.cruds")):
        watch.refused(await caller.post("/fhir/Media", resource), 422)
        watch.refused(await caller.put("/fhir/Media/back-door", {**resource, "id": "back-door"}), 422)


@pytest.mark.parametrize(
    "place",
    [
        {"photo": [{"url": URLS["as it is meant"]}]},
        {"extension": [{"url": "urn:x", "valueUrl": URLS["as it is meant"]}]},
        {"extension": [{"url": "urn:x", "valueUri": URLS["under no type"]}]},
        {"extension": [{"url": "urn:x", "valueMarkdown": f"Before ![]({URLS['as it is meant']}) and after"}]},
        {"extension": [{"url": "urn:x", "valueMarkdown": "Many metadata: and data: " + URLS["as it is meant"]}]},
        {
            "contained": [linked("x", URLS["as it is meant"]) | {"id": "a"}],
            "generalPractitioner": [{"reference": "#a"}],
        },
    ],
)
async def test_nor_is_it_taken_in_any_other_place(mallory: Caller, watch: Watch, place: dict[str, Any]) -> None:
    watch.refused(await mallory.post("/fhir/Patient", {**patient(MARK), **place}), 422)


async def test_nor_by_a_patch_or_in_a_bundle(mallory: Caller, file: Json, watch: Watch) -> None:
    resource = linked(file["id"], URLS["under no type"])
    patch = b'[{"op":"add","path":"/photo","value":[{"url":"%s"}]}]' % URLS["under no type"].encode()

    answer = await mallory.ask(
        "PATCH", f"/fhir/Patient/{file['id']}", patch, Content_Type="application/json-patch+json"
    )
    watch.refused(answer, 422)
    watch.refused(await mallory.post("/fhir", batch("transaction", ("POST", "Media", resource))), 422)
    answer = await mallory.post("/fhir", batch("batch", ("POST", "Media", resource)))
    assert [entry["response"]["status"] for entry in read(answer)["entry"]] == ["422"]
    kept = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}
    watch.refused(await mallory.post("/fhir/Bundle", kept), 422)


async def test_a_url_with_another_content_is_a_url_like_any_other(clinic: InProcess) -> None:
    urls = ["data:text/plain,Hello", "data:application/pdf;base64,JVBERi0xLjQK", "https://x.example/data:image/png"]

    made = [await clinic.caller().store({**patient(), "photo": [{"url": url}]}) for url in urls]

    assert [each["photo"][0]["url"] for each in made] == urls


@pytest.mark.parametrize("text", ["data:" * 200_000, "data:," * 170_000, "data:a," + "data:" * 200_000])
async def test_countless_urls_take_no_time(mallory: Caller, watch: Watch, text: str) -> None:
    started = time.process_time()

    watch.refused(
        await mallory.post("/fhir/Patient", patient(MARK, extension=[{"url": "urn:x", "valueString": text}])), 422
    )

    assert time.process_time() - started < 2


@pytest.fixture
async def others(clinic: InProcess, watch: Watch) -> dict[str, str]:
    """Everything around a patient that a picture could be said to be of, or could mention."""
    doctor = clinic.caller()
    person = f"Patient/{(await doctor.store(patient()))['id']}"
    of = {"reference": person}
    member = {"type": "person", "actual": True, "member": [{"entity": of}]}
    visit = {"status": "finished", "class": {"code": "AMB"}, "subject": of}
    made = {
        "Practitioner": await doctor.store({"resourceType": "Practitioner"}),
        "Group": await doctor.store({"resourceType": "Group", **member}),
        "Specimen": await doctor.store({"resourceType": "Specimen", "subject": of}),
        "Device": await doctor.store({"resourceType": "Device", "patient": of}),
        "Encounter": await doctor.store({"resourceType": "Encounter", **visit}),
    }
    await watch.begin()
    return {"Patient": person, **{type: f"{type}/{each['id']}" for type, each in made.items()}}


@pytest.mark.parametrize("type", ["Group", "Specimen", "Device"])
async def test_what_belongs_to_a_patient_is_no_way_around_her_consent(
    mallory: Caller, watch: Watch, others: dict[str, str], type: str
) -> None:
    watch.refused(await mallory.post("/fhir/Media", of(others[type])), 422)


@pytest.mark.parametrize(
    "beside",
    [
        {"encounter": {"reference": "{Encounter}"}},
        {"extension": [{"url": "urn:x", "valueReference": {"reference": "{Patient}"}}]},
        {"partOf": [{"reference": "{Specimen}"}]},
        {"contained": [{"resourceType": "Patient", "id": "p"}], "subject": {"reference": "#p"}},
        {"subject": {"identifier": {"system": "urn:x", "value": "1"}}},
        {"subject": {"reference": "https://elsewhere.example/fhir/Practitioner/1"}},
        {"subject": {"display": "Dr Who"}},
    ],
)
async def test_a_picture_said_to_be_of_others_names_no_patient_anywhere(
    mallory: Caller, watch: Watch, others: dict[str, str], beside: Json
) -> None:
    text = json.encode({**of(others["Practitioner"]), **beside}).decode()
    for type, reference in others.items():
        text = text.replace(f"{{{type}}}", reference)

    watch.refused(await mallory.post("/fhir/Media", text), 422)


async def test_without_system_scope_a_picture_of_no_patient_is_refused(
    clinic: InProcess, watch: Watch, others: dict[str, str]
) -> None:
    nurse = clinic.caller("user/*.cruds")

    watch.refused(await nurse.post("/fhir/Media", of(others["Practitioner"])), 403)
    watch.refused(await nurse.post("/fhir/Media", without_subject()), 403)


def of(subject: str) -> Json:
    return {**media("x", TAKEN), "subject": {"reference": subject}}


def without_subject() -> Json:
    return {name: value for name, value in media("x", TAKEN).items() if name != "subject"}
