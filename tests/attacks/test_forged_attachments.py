"""Who writes what only the server writes of large data: from outside in a resource, or into the database."""

import base64
import secrets
from typing import Any

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.attacks.watch import MARK, Watch
from tests.clinics import Caller, InProcess, read
from tests.samples import jpeg, patient

pytestmark = pytest.mark.anyio

JSON_PATCH = "application/json-patch+json"
VICTIM = base64.b64encode(b"the victim's report " + secrets.token_bytes(1_000_000)).decode()
OWN = base64.b64encode(b"mallory's own " + secrets.token_bytes(1_000_000)).decode()


@pytest.fixture(scope="module")
async def stolen(clinic: InProcess) -> Json:
    """All that the database tells of the victim's data, as a thief may know it."""
    made = await clinic.caller().store(document(VICTIM))
    row = await clinic.mongo[clinic.database]["attachments"].find_one({"owner": f"DocumentReference/{made['id']}"})
    assert row
    known = {"id": row["_id"], "salt": base64.b64encode(bytes(32)).decode(), "sealed": 1_000_020, "decoded": True}
    return {"at": 300, "path": ["content", 0, "attachment", "data"], "data": {**known, "size": 9, "length": 9}}


def document(*texts: str, **more: Any) -> Json:
    contents = [{"attachment": {"contentType": "application/pdf", "data": text}} for text in texts]
    return {"resourceType": "DocumentReference", "status": "current", "content": contents, **more}


def forgeries(stolen: Json) -> dict[str, Json]:
    """What a description under the seal looks like, wherever a client may write something."""
    frame = b"\x01" + (2).to_bytes(4) + b"[]" + b'{"resourceType":"DocumentReference"}'
    listed = json.encode([stolen]).decode()
    return {
        "as text": document("QUJD", description=listed),
        "beside large data": document(OWN, description=listed),
        "as data": document(base64.b64encode(frame).decode()),
        "as large data": document(base64.b64encode(frame + VICTIM.encode()).decode()),
        "where it belongs": document(OWN, description='"},{"at":0,"path":[],"data":{}'),
        "as a title": document(OWN, type={"text": f"{stolen['data']['id']}/0"}),
        "an id of an attachment": document(OWN, id=stolen["data"]["id"]),
        "an empty place": document(OWN, description='"data":""'),
    }


@pytest.mark.parametrize("name", list(forgeries({"data": {"id": "x"}})))
async def test_a_description_from_outside_is_text_like_any_other(mallory: Caller, stolen: Json, name: str) -> None:
    forged = forgeries(stolen)[name]

    made = await mallory.store(forged)
    found = read(await mallory.get(f"/fhir/DocumentReference/{made['id']}"))

    assert {**found, "id": "", "meta": {}} == {**forged, "id": "", "meta": {}}
    assert VICTIM not in json.encode(found).decode()


async def test_an_object_in_the_place_of_data_is_refused(mallory: Caller, stolen: Json, watch: Watch) -> None:
    for value in (stolen, stolen["data"], {"attached": stolen["data"]["id"]}, [stolen], 1, True):
        forged = document("QUJD", description=MARK)
        forged["content"][0]["attachment"]["data"] = value
        watch.refused(await mallory.post("/fhir/DocumentReference", forged), 422)


async def test_a_patch_puts_no_description_in_the_place_of_data(
    clinic: InProcess, mallory: Caller, stolen: Json
) -> None:
    made = await mallory.store(document(OWN))
    path = f"/fhir/DocumentReference/{made['id']}"
    before = await clinic.counts()

    for value in (stolen, stolen["data"], "", None):
        operations = [{"op": "replace", "path": "/content/0/attachment/data", "value": value}]
        assert (await mallory.ask("PATCH", path, json.encode(operations), Content_Type=JSON_PATCH)).status_code == 422

    assert await clinic.counts() == before
    assert read(await mallory.get(path)) == made


async def test_copies_of_large_data_do_not_grow_without_end(clinic: InProcess, mallory: Caller) -> None:
    made = await mallory.store(document(OWN))
    before = await clinic.counts()
    operations = [{"op": "copy", "from": "/content/0", "path": "/content/-"} for _ in range(200)]

    answer = await mallory.ask(
        "PATCH", f"/fhir/DocumentReference/{made['id']}", json.encode(operations), Content_Type=JSON_PATCH
    )

    assert answer.status_code == 413
    assert await clinic.counts() == before


async def test_chunks_put_in_the_place_of_others_are_not_served(
    clinic: InProcess, mallory: Caller, stolen: Json
) -> None:
    """By somebody who can write into the database, and read as himself."""
    made = await mallory.store(document(OWN))
    database = clinic.mongo[clinic.database]
    mine = await database["attachments"].find_one({"owner": f"DocumentReference/{made['id']}"})
    assert mine
    for number in range(4):
        theirs = await database["chunks"].find_one({"_id": f"{stolen['data']['id']}/{number}"})
        assert theirs
        await database["chunks"].update_one({"_id": f"{mine['_id']}/{number}"}, {"$set": {"chunks": theirs["chunks"]}})

    answer = await mallory.get(f"/fhir/DocumentReference/{made['id']}")

    assert (answer.status_code, read(answer)["resourceType"]) == (503, "OperationOutcome")
    assert "victim" not in answer.text


async def test_a_media_type_or_a_context_makes_no_header_of_its_own(mallory: Caller) -> None:
    """Both come from whoever stored the Binary."""
    own = {"resourceType": "Binary", "data": "QUJD"}
    for media_type in ("text/html\u2028x", "text/plain; a=\u00e9", "\u00e9", "text/plain;x=\u0100", "a", "/", "a/b;c"):
        made = await mallory.post("/fhir/Binary", {**own, "contentType": media_type})
        if made.status_code == 201:
            answer = await mallory.get(f"/fhir/Binary/{read(made)['id']}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream"), media_type
    for reference in ("Patient/x\r\nSet-Cookie: a=b", "Patient/x y", "Pati\u00e9nt/\u0100"):
        made = await mallory.post(
            "/fhir/Binary", {**own, "contentType": "a/b", "securityContext": {"reference": reference}}
        )
        if made.status_code == 201:
            answer = await mallory.get(f"/fhir/Binary/{read(made)['id']}")
            assert (answer.status_code, answer.headers.get("set-cookie")) == (200, None)
            assert "x-security-context" not in answer.headers


async def test_a_page_in_a_binary_is_not_shown_as_one_of_ours(mallory: Caller) -> None:
    page = b"<html><script>alert(document.cookie)</script>"
    made = await mallory.post("/fhir/Binary", page, Content_Type="text/html")

    answer = await mallory.get(f"/fhir/Binary/{read(made)['id']}")

    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("blank", ["\n", "\r\n", " ", "\t"])
async def test_an_image_broken_into_lines_is_seen_as_one(clinic: InProcess, watch: Watch, blank: str) -> None:
    """R4 allows blanks in base64; what decodes strictly would not see the picture."""
    text = base64.b64encode(jpeg(4_000)).decode()
    lines = blank.join(text[at : at + 4] for at in range(0, len(text), 4))
    nurse = clinic.caller("user/*.cruds")

    for resource in (
        {"resourceType": "Binary", "contentType": "text/plain", "data": lines},
        {**patient(MARK), "photo": [{"contentType": "text/plain", "data": lines}]},
        {**patient(MARK), "extension": [{"url": "urn:x", "valueBase64Binary": lines}]},
    ):
        watch.refused(await nurse.post(f"/fhir/{resource['resourceType']}", resource), 403)
