"""Journey 2: a photo is stored on a legal basis, sealed, and shown whole or in part to whoever may see its Media."""

import base64
import hashlib
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import FHIR_JSON, Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient
from tests.unit.media import pictures
from tests.unit.media.pictures import PLACE, png

pytestmark = pytest.mark.anyio

SIZE = 700_000
"""More than two stored documents of four chunks."""


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module")
async def person(doctor: Caller) -> str:
    """A patient with a consent for care photography."""
    stored = await doctor.store(patient())
    await doctor.store(consent(stored["id"]))
    return str(stored["id"])


@pytest.fixture(scope="module")
def taken() -> bytes:
    return jpeg(SIZE, plain=True)


@pytest.fixture(scope="module")
async def shown(doctor: Caller, person: str, taken: bytes) -> Json:
    """The Media as stored."""
    return await doctor.store(media(person, taken, content={**media(person, taken)["content"], "title": "left side"}))


@pytest.fixture(scope="module")
def address(shown: Json) -> str:
    return f"/fhir/{shown['content']['url']}"


async def test_the_bytes_leave_the_media(shown: Json, taken: bytes) -> None:
    content = shown["content"]

    assert "data" not in content
    assert content["url"].startswith("Binary/")
    assert content["title"] == "left side"
    assert content["size"] == len(taken)
    assert content["hash"] == base64.b64encode(hashlib.sha1(taken, usedforsecurity=False).digest()).decode()


async def test_t31_a_photo_is_read_back_whole(doctor: Caller, address: str, taken: bytes) -> None:
    answer = await doctor.get(address)

    assert answer.status_code == 200
    assert answer.content == taken
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(taken))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == "inline"


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 262_144, 262_145, 5_000_000])
async def test_a_photo_of_any_size_is_read_back(doctor: Caller, person: str, size: int) -> None:
    """At the edges of a chunk and of a stored document, and several megabytes."""
    head = len(jpeg(0, plain=True))
    taken = jpeg(size - head, plain=True)
    assert len(taken) == size
    stored = await doctor.store(media(person, taken))

    whole = await doctor.get(f"/fhir/{stored['content']['url']}")
    end = await doctor.get(f"/fhir/{stored['content']['url']}", Range="bytes=-3")

    assert whole.content == taken
    assert end.content == taken[-3:]


async def test_head_says_what_get_would_give_without_the_bytes(doctor: Caller, address: str, taken: bytes) -> None:
    answer = await doctor.ask("HEAD", address)
    part = await doctor.ask("HEAD", address, Range="bytes=0-9")

    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(taken))
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content == b""
    assert (part.status_code, part.headers["content-length"]) == (206, "10")


async def test_fhir_json_gives_a_binary_resource(doctor: Caller, address: str, shown: Json, taken: bytes) -> None:
    answer = await doctor.get(address, Accept=FHIR_JSON)

    binary = read(answer)
    assert answer.headers["content-type"].startswith(FHIR_JSON)
    assert binary["resourceType"] == "Binary"
    assert binary["securityContext"]["reference"] == f"Media/{shown['id']}"
    assert base64.b64decode(binary["data"]) == taken


async def test_where_it_was_taken_is_cut_out_of_a_photo(doctor: Caller, person: str) -> None:
    taken = jpeg(9_000, turned=6)
    assert PLACE in taken

    stored = await doctor.store(media(person, taken))
    answer = await doctor.get(f"/fhir/{stored['content']['url']}")

    assert PLACE not in answer.content
    assert stored["content"]["size"] == len(answer.content)
    assert (
        stored["content"]["hash"]
        == base64.b64encode(hashlib.sha1(answer.content, usedforsecurity=False).digest()).decode()
    )


@pytest.mark.parametrize("said", ["application/octet-stream", "image/png; q=1", "IMAGE/PNG"])
async def test_the_bytes_say_what_a_photo_is(doctor: Caller, person: str, said: str) -> None:
    content = {"data": media(person, png())["content"]["data"], "contentType": said}

    stored = await doctor.store(media(person, png(), content=content))

    assert stored["content"]["contentType"] == "image/png"


@pytest.mark.parametrize("said", ["text/plain", "image/jpeg", "video/mp4", "model/stl"])
async def test_a_wrong_content_type_is_refused_and_nothing_is_kept(
    clinic: InProcess, doctor: Caller, person: str, said: str
) -> None:
    before = await clinic.counts()

    answer = await doctor.post(
        "/fhir/Media", media(person, png(), content={**media(person, png())["content"], "contentType": said})
    )

    assert answer.status_code == 422
    assert read(answer)["issue"][0]["expression"] == ["Media.content.contentType"]
    assert await clinic.counts() == before


async def test_b2_what_the_camera_noted_moves_into_the_media(doctor: Caller, person: str) -> None:
    block = pictures.exif_of_a_camera(taken="2026:03:01 10:15:00", offset="+01:00")

    stored = await doctor.store(media(person, pictures.jpeg(pictures.segment(0xE1, b"Exif\x00\x00" + block))))

    assert stored["createdDateTime"] == "2026-03-01T10:15:00+01:00"
    assert stored["deviceName"] == "Clinic Cam 7"
    [exposure] = [one for one in stored["extension"] if one["url"] == "urn:aesthetic-fhir-server:exposure"]
    assert {one["url"]: next(v for k, v in one.items() if k != "url") for one in exposure["extension"]} == {
        "exposureTime": Decimal("0.008"),
        "fNumber": Decimal("2.8"),
        "iso": 200,
        "focalLength": 50,
        "whiteBalance": "manual",
    }


async def test_t36_the_answer_names_the_digest_of_what_came_and_of_what_is_kept(doctor: Caller, person: str) -> None:
    sent = jpeg(3_000, turned=6)

    stored = await doctor.store(media(person, sent))
    kept = (await doctor.get(f"/fhir/{stored['content']['url']}")).content

    digests = {one["url"]: one["valueBase64Binary"] for one in stored["content"]["extension"]}
    assert digests == {
        "urn:aesthetic-fhir-server:received-sha-256": base64.b64encode(hashlib.sha256(sent).digest()).decode(),
        "urn:aesthetic-fhir-server:sha-256": base64.b64encode(hashlib.sha256(kept).digest()).decode(),
    }
    assert sent != kept


@pytest.mark.parametrize(
    "why",
    [
        None,
        {"code": "photo-followup"},
        {"status": "draft"},
        {"status": "inactive"},
        {"kind": "deny"},
        {"provision": {"period": {"end": "2020-01-01"}}},
        {"provision": {"securityLabel": [{"code": "R"}]}},
    ],
)
async def test_without_a_legal_basis_a_photo_is_refused_and_nothing_is_kept(
    clinic: InProcess, doctor: Caller, why: dict[str, Any] | None
) -> None:
    somebody = await doctor.store(patient())
    if why is not None:
        await doctor.store(consent(somebody["id"], **why))
    before = await clinic.counts()

    answer = await doctor.post("/fhir/Media", media(somebody["id"], jpeg()))

    assert answer.status_code == 403
    assert [issue["code"] for issue in read(answer)["issue"]] == ["suppressed"]
    assert await clinic.counts() == before


@pytest.mark.parametrize("data", [b"no picture at all" * 9, b"%PDF-1.7" + bytes(99), b"II*\x00" + bytes(99)])
async def test_bytes_that_cannot_be_cleaned_are_refused_and_nothing_is_kept(
    clinic: InProcess, doctor: Caller, person: str, data: bytes
) -> None:
    before = await clinic.counts()

    answer = await doctor.post("/fhir/Media", media(person, data))

    assert answer.status_code == 422
    assert await clinic.counts() == before


async def test_an_update_does_not_move_a_photo(doctor: Caller, person: str, shown: Json, address: str) -> None:
    other = await doctor.store(patient())
    await doctor.store(consent(other["id"]))
    content = shown["content"]
    elsewhere = (await doctor.store(media(person, jpeg())))["content"]
    moved: list[Json] = [
        {**shown, "subject": {"reference": f"Patient/{other['id']}"}},
        {**shown, "content": {**content, "url": elsewhere["url"]}},
        {**shown, "content": {**content, "url": "https://elsewhere.example/photo.jpg"}},
        {**shown, "content": {**content, "hash": elsewhere["hash"]}},
        {**shown, "content": {**content, "size": 1}},
        {**shown, "content": {"contentType": "image/jpeg"}},
        {**shown, "content": media(person, jpeg())["content"]},
        {**shown, "content": {**content, "data": media(person, jpeg())["content"]["data"]}},
    ]

    answers = [await doctor.put(f"/fhir/Media/{shown['id']}", one) for one in moved]

    assert [answer.status_code for answer in answers] == [422] * len(moved)
    assert read(await doctor.get(f"/fhir/Media/{shown['id']}"))["meta"]["versionId"] == "1"
    assert (await doctor.get(address)).status_code == 200


async def test_a_photo_is_not_claimed_by_another_media(doctor: Caller, person: str, shown: Json) -> None:
    other = await doctor.store(patient())
    await doctor.store(consent(other["id"]))
    claim = {**media(other["id"], b""), "content": shown["content"]}

    assert (await doctor.post("/fhir/Media", claim)).status_code == 422
    assert (await doctor.put("/fhir/Media/claimed", {**claim, "id": "claimed"})).status_code == 422


async def test_a_note_may_change_and_the_photo_stays(doctor: Caller, person: str) -> None:
    stored = await doctor.store(media(person, jpeg()))

    answer = await doctor.put(f"/fhir/Media/{stored['id']}", {**stored, "note": [{"text": "three weeks after"}]})

    assert answer.status_code == 200
    assert (await doctor.get(f"/fhir/{stored['content']['url']}")).status_code == 200


async def test_entered_in_error_makes_the_bytes_unreachable(doctor: Caller, person: str) -> None:
    stored = await doctor.store(media(person, jpeg()))
    wrong = await doctor.put(f"/fhir/Media/{stored['id']}", {**stored, "status": "entered-in-error"})
    url = f"/fhir/{stored['content']['url']}"

    answers = [
        await doctor.get(url),
        await doctor.get(url, Range="bytes=0-9"),
        await doctor.get(url, Accept=FHIR_JSON),
        await doctor.ask("HEAD", url),
    ]

    assert wrong.status_code == 200
    assert [answer.status_code for answer in answers] == [403] * 4
    listed = read(await doctor.get(f"/fhir/Media?_id={stored['id']}"))
    assert "entry" not in listed


async def test_a_deleted_media_takes_its_bytes_out_of_reach(doctor: Caller, person: str) -> None:
    stored = await doctor.store(media(person, jpeg()))
    await doctor.delete(f"/fhir/Media/{stored['id']}")

    assert (await doctor.get(f"/fhir/{stored['content']['url']}")).status_code == 410
    revived = await doctor.put(f"/fhir/Media/{stored['id']}", stored)
    assert revived.status_code == 422


async def test_t44_who_may_not_see_the_media_does_not_see_the_photo(
    clinic: InProcess, doctor: Caller, person: str, address: str, shown: Json
) -> None:
    other = await doctor.store(patient())
    for path in (address, f"/fhir/Media/{shown['id']}"):
        anonymous = await clinic.stranger.get(path)
        assert (anonymous.status_code, anonymous.headers["cache-control"]) == (401, "no-store")
        assert (await clinic.caller("system/Patient.rs").get(path)).status_code == 403
        assert (await clinic.caller("patient/Media.rs", patient=other["id"]).get(path)).status_code == 404
        assert (await clinic.caller("patient/Media.rs", patient=person).get(path)).status_code == 200


@pytest.mark.parametrize(
    "scopes", [("patient/Media.rs",), ("patient/Media.rs", "patient/Binary.rs"), ("patient/Binary.rs",)]
)
async def test_a_hidden_photo_is_answered_like_one_that_never_was(
    clinic: InProcess, doctor: Caller, address: str, scopes: tuple[str, ...]
) -> None:
    other = await doctor.store(patient())
    holder = clinic.caller(*scopes, patient=other["id"])

    hidden = await holder.get(address)
    unknown = await holder.get("/fhir/Binary/" + "0" * 32)

    assert (hidden.status_code, read(hidden)) == (unknown.status_code, read(unknown))


async def test_a_photo_is_no_resource_that_a_batch_or_an_old_version_could_show(doctor: Caller, address: str) -> None:
    entry = {"request": {"method": "GET", "url": address.removeprefix("/fhir/")}}
    batch = read(await doctor.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}))

    assert batch["entry"][0]["response"]["status"] == "404"
    assert (await doctor.get(f"{address}/_history/1")).status_code == 404
    assert "entry" not in read(await doctor.get(f"/fhir/Binary?_id={address.rpartition('/')[2]}"))


async def test_a_recording_of_sound_is_kept_as_it_is_and_a_picture_is_none(doctor: Caller, person: str) -> None:
    sound = media(person, b"this blob is not valid", content={"contentType": "audio/mpeg", "data": "dGhpcyBibG9i"})
    lying = media(person, png(), content={**media(person, png())["content"], "contentType": "audio/mpeg"})

    kept = await doctor.store(sound)
    refused = await doctor.post("/fhir/Media", lying)

    assert kept["content"] == sound["content"]
    assert refused.status_code == 422


async def test_a_gif_is_a_photo_like_any_other(doctor: Caller, person: str) -> None:
    comment = pictures.gif_extension(0xFE, PLACE)
    stored = await doctor.store(media(person, pictures.gif(comment, pictures.GIF_IMAGE)))

    whole = await doctor.get(f"/fhir/{stored['content']['url']}")

    assert (stored["content"]["contentType"], "data" in stored["content"]) == ("image/gif", False)
    assert whole.content == pictures.gif(pictures.GIF_IMAGE)


async def test_a_link_to_what_another_server_keeps_is_no_photograph_of_ours(doctor: Caller) -> None:
    """Its bytes are not here, so there is nothing to decide on; the subject may be somebody who never consented."""
    somebody = await doctor.store(patient())
    link = {"contentType": "image/jpeg", "url": "https://elsewhere.example/fhir/Binary/7"}

    stored = await doctor.store(media(somebody["id"], b"", content=link))

    assert stored["content"] == link
    assert (await doctor.get(f"/fhir/Media/{stored['id']}")).status_code == 200


async def test_a_link_to_a_photo_here_opens_no_other_way_to_its_bytes(
    clinic: InProcess, doctor: Caller, person: str, shown: Json
) -> None:
    somebody = await doctor.store(patient())
    link = {"contentType": "image/jpeg", "url": f"{clinic.base}/{shown['content']['url']}"}
    await doctor.store(media(somebody["id"], b"", content=link))

    other = await clinic.caller("patient/*.rs", patient=somebody["id"]).get(f"/fhir/{shown['content']['url']}")

    assert other.status_code == 404
