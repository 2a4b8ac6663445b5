"""Bytes come to a Media that waits for them: at once by POST Binary, or in pieces that can be resumed."""

import asyncio
import base64
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Sequence

import pytest
from httpx2 import Response

from fhir_server.engine.change import Change
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ContendedError, UnavailableError
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, patient
from tests.unit.media.films import PICTURES, box, mp4, track
from tests.unit.media.pictures import PLACE, png

pytestmark = pytest.mark.anyio

STEP = 256 * 1024
PARTIAL = "application/partial-upload"


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module")
async def person(doctor: Caller) -> str:
    stored = await doctor.store(patient())
    await doctor.store(consent(stored["id"]))
    return str(stored["id"])


async def waiting(doctor: Caller, person: str, media_type: str = "image/jpeg", **more: object) -> Json:
    subject = {"reference": f"Patient/{person}"}
    content = {"contentType": media_type}
    return await doctor.store(
        {"resourceType": "Media", "status": "preparation", "subject": subject, "content": content, **more}
    )


def digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


async def begun(doctor: Caller, media: Json, length: int, body: bytes = b"", kind: str = "image/jpeg") -> Response:
    return await doctor.post(
        f"/fhir/Media/{media['id']}/$upload",
        body,
        Content_Type=kind,
        Upload_Complete="?0",
        Upload_Length=str(length),
    )


async def more(doctor: Caller, media: Json, offset: int, body: bytes, complete: bool = False) -> Response:  # noqa: FBT001, FBT002  as the header has it
    return await doctor.ask(
        "PATCH",
        f"/fhir/Media/{media['id']}/$upload",
        body,
        Content_Type=PARTIAL,
        Upload_Offset=str(offset),
        Upload_Complete="?1" if complete else "?0",
    )


async def test_raw_bytes_reach_the_media_that_waits_for_them(doctor: Caller, person: str) -> None:
    media, sent = await waiting(doctor, person), jpeg(90_000)

    answer = await doctor.post(
        "/fhir/Binary", sent, Content_Type="image/jpeg", X_Security_Context=f"Media/{media['id']}"
    )
    stored = read(await doctor.get(f"/fhir/Media/{media['id']}"))
    kept = await doctor.get(f"/fhir/{stored['content']['url']}")

    assert answer.status_code == 201
    assert answer.headers["location"].endswith(f"/fhir/{stored['content']['url']}")
    assert answer.headers["repr-digest"] == f"sha-256=:{digest(kept.content)}:"
    assert (stored["status"], stored["meta"]["versionId"]) == ("completed", "2")
    assert stored["content"]["size"] == len(kept.content)
    assert PLACE in sent
    assert PLACE not in kept.content


async def test_what_is_too_long_to_be_held_is_staged_and_then_cleaned(
    clinic: InProcess, doctor: Caller, person: str
) -> None:
    media, sent = await waiting(doctor, person), jpeg(9 << 20)

    answer = await doctor.post(f"/fhir/Media/{media['id']}/$upload", sent, Content_Type="image/jpeg")
    kept = await doctor.get(f"/fhir/{read(answer)['content']['url']}")

    assert answer.status_code == 200
    assert read(answer)["content"]["extension"][1]["valueBase64Binary"] == digest(sent)
    assert digest(kept.content) == read(answer)["content"]["extension"][0]["valueBase64Binary"]
    assert await staged(clinic, media) == 0


async def staged(clinic: InProcess, media: Json) -> int:
    photos = clinic.mongo[clinic.database]["photos"]
    return await photos.count_documents({"owner": f"Media/{media['id']}", "state": {"$nin": ["live", "destroyed"]}})


async def test_t36_an_upload_goes_on_where_it_stopped(clinic: InProcess, doctor: Caller, person: str) -> None:
    media, sent = await waiting(doctor, person), jpeg(3 * STEP)
    address = f"/fhir/Media/{media['id']}/$upload"

    first = await begun(doctor, media, len(sent), sent[: STEP + 1_000])
    where = await doctor.ask("HEAD", address)
    offset = int(where.headers["upload-offset"])
    second = await more(doctor, media, offset, sent[offset : offset + STEP])
    offset = int(second.headers["upload-offset"])
    last = await more(doctor, media, offset, sent[offset:], complete=True)
    after = await doctor.ask("HEAD", address)

    assert first.status_code == 201
    assert first.headers["location"].endswith(address)
    assert "min-append-size=262144" in first.headers["upload-limit"]
    assert (where.status_code, where.headers["upload-offset"], where.headers["upload-complete"]) == (
        204,
        str(STEP),
        "?0",
    )
    assert (second.status_code, offset) == (204, 2 * STEP)
    assert (last.status_code, read(last)["status"]) == (200, "completed")
    assert read(last)["content"]["extension"][1]["valueBase64Binary"] == digest(sent)
    assert (after.status_code, after.headers["upload-complete"]) == (204, "?1")
    assert await staged(clinic, media) == 0


async def test_an_empty_piece_changes_nothing(doctor: Caller, person: str) -> None:
    media = await waiting(doctor, person)
    await begun(doctor, media, 1_000)

    assert (await more(doctor, media, 0, b"")).headers["upload-offset"] == "0"


async def test_the_last_piece_may_be_empty(doctor: Caller, person: str) -> None:
    media, sent = await waiting(doctor, person), jpeg(1_000)

    await begun(doctor, media, len(sent), sent)
    done = await more(doctor, media, len(sent), b"", complete=True)

    assert done.status_code == 200


async def test_a_video_is_cleaned_where_it_lies(doctor: Caller, person: str) -> None:
    media, sent = await waiting(doctor, person, "video/mp4"), mp4()

    answer = await doctor.post(f"/fhir/Media/{media['id']}/$upload", sent, Content_Type="video/mp4")
    kept = (await doctor.get(f"/fhir/{read(answer)['content']['url']}")).content

    assert PICTURES in kept
    assert PLACE in sent
    assert PLACE not in kept


async def test_changed_bytes_at_a_resumed_offset_are_refused(doctor: Caller, person: str) -> None:
    media, sent = await waiting(doctor, person), jpeg(3 * STEP)
    await begun(doctor, media, len(sent), sent[: 2 * STEP])

    again = await more(doctor, media, STEP, bytes(STEP))
    ahead = await more(doctor, media, 3 * STEP, sent[3 * STEP :])

    assert (again.status_code, ahead.status_code) == (409, 409)
    assert (await doctor.ask("HEAD", f"/fhir/Media/{media['id']}/$upload")).headers["upload-offset"] == str(2 * STEP)
    assert (await more(doctor, media, 2 * STEP, sent[2 * STEP :], complete=True)).status_code == 200


async def test_what_was_stored_before_a_crash_is_not_sealed_again_with_other_bytes(
    clinic: InProcess, doctor: Caller, person: str
) -> None:
    media, sent = await waiting(doctor, person), jpeg(3 * STEP)
    await begun(doctor, media, len(sent), sent[: 2 * STEP])
    photos = clinic.mongo[clinic.database]["photos"]
    await photos.update_one(
        {"owner": f"Media/{media['id']}"}, {"$set": {"received": STEP, "claimed": STEP}}
    )  # as if the server had died between storing the bytes and saying so

    other = await more(doctor, media, STEP, bytes(STEP))
    await photos.update_one({"owner": f"Media/{media['id']}"}, {"$set": {"claimed": STEP}})
    same = await more(doctor, media, STEP, sent[STEP:], complete=True)

    assert other.status_code == 409
    assert same.status_code == 200


async def test_a_stretch_that_somebody_else_claimed_is_not_sealed(
    clinic: InProcess, doctor: Caller, person: str
) -> None:
    media, sent = await waiting(doctor, person), jpeg(3 * STEP)
    await begun(doctor, media, len(sent), sent[:STEP])
    await clinic.mongo[clinic.database]["photos"].update_one(
        {"owner": f"Media/{media['id']}"}, {"$set": {"claimed": 2 * STEP}}
    )

    assert (await more(doctor, media, STEP, sent[STEP:])).status_code == 409


async def test_an_upload_is_given_up(clinic: InProcess, doctor: Caller, person: str) -> None:
    media, sent = await waiting(doctor, person), jpeg(3 * STEP)
    await begun(doctor, media, len(sent), sent[: 2 * STEP])

    gone = await doctor.delete(f"/fhir/Media/{media['id']}/$upload")

    assert gone.status_code == 204
    assert await staged(clinic, media) == 0
    assert (await doctor.ask("HEAD", f"/fhir/Media/{media['id']}/$upload")).status_code == 404


async def test_a_second_beginning_takes_the_place_of_the_first(clinic: InProcess, doctor: Caller, person: str) -> None:
    media, sent = await waiting(doctor, person), jpeg(3 * STEP)

    await begun(doctor, media, len(sent), sent[: 2 * STEP])
    again = await begun(doctor, media, len(sent))

    assert again.headers["upload-offset"] == "0"
    assert await staged(clinic, media) == 1
    await doctor.delete(f"/fhir/Media/{media['id']}/$upload")


async def test_s69_s86_without_a_legal_basis_not_a_byte_is_kept(clinic: InProcess, doctor: Caller) -> None:
    nobody = (await doctor.store(patient()))["id"]
    media = await waiting(doctor, nobody)
    before = await clinic.counts()

    raw = await doctor.post(
        "/fhir/Binary", jpeg(), Content_Type="image/jpeg", X_Security_Context=f"Media/{media['id']}"
    )
    pieces = await begun(doctor, media, 1_000)

    assert (raw.status_code, pieces.status_code) == (403, 403)
    assert await clinic.counts() == before


async def test_a_refusal_waits_for_no_more_of_the_body(doctor: Caller) -> None:
    nobody = (await doctor.store(patient()))["id"]
    media = await waiting(doctor, nobody)

    async def without_end() -> AsyncIterator[bytes]:
        yield jpeg()
        await asyncio.Event().wait()

    headers = {**doctor.headers, "Content-Type": "image/jpeg", "X-Security-Context": f"Media/{media['id']}"}
    answer = await doctor.http.post("/fhir/Binary", content=without_end(), headers=headers)

    assert answer.status_code == 403


async def test_a_withdrawal_ends_an_upload_and_destroys_what_came(clinic: InProcess, doctor: Caller) -> None:
    somebody = (await doctor.store(patient()))["id"]
    agreed = await doctor.store(consent(somebody))
    media, sent = await waiting(doctor, somebody), jpeg(3 * STEP)
    await begun(doctor, media, len(sent), sent[: 2 * STEP])
    await doctor.post(f"/fhir/Consent/{agreed['id']}/$withdraw")

    answer = await more(doctor, media, 2 * STEP, sent[2 * STEP :], complete=True)

    assert answer.status_code == 403
    assert await staged(clinic, media) == 0


REFUSED = {
    "no photo": (b"not a picture at all" * 40, {"Content_Type": "image/jpeg"}, 422),
    "cut off": (jpeg()[:-9], {"Content_Type": "image/jpeg"}, 422),
    "said to be another": (png(), {"Content_Type": "image/jpeg"}, 422),
    "packed": (jpeg(), {"Content_Type": "image/jpeg", "Content_Encoding": "gzip"}, 415),
    "another length": (jpeg(), {"Content_Type": "image/jpeg", "Upload_Length": "17"}, 400),
    "a length that is none": (jpeg(), {"Content_Type": "image/jpeg", "Upload_Length": "-1"}, 400),
    "more than any": (b"\xff\xd8", {"Content_Type": "image/jpeg", "Upload_Length": str(2 << 30)}, 413),
    "half a boolean": (jpeg(), {"Content_Type": "image/jpeg", "Upload_Complete": "yes"}, 400),
    "in pieces of unknown number": (jpeg(), {"Content_Type": "image/jpeg", "Upload_Complete": "?0"}, 400),
    "conditional": (jpeg(), {"Content_Type": "image/jpeg", "If_Match": 'W/"1"'}, 400),
    "no bytes": (b"", {"Content_Type": "image/jpeg", "Upload_Complete": "?0", "Upload_Length": "0"}, 400),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_what_is_refused_leaves_nothing_behind(clinic: InProcess, doctor: Caller, person: str, why: str) -> None:
    body, headers, status = REFUSED[why]
    media = await waiting(doctor, person)
    before = await clinic.counts()

    answer = await doctor.post(f"/fhir/Media/{media['id']}/$upload", body, **headers)

    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert await clinic.counts() == before


async def test_pieces_are_refused_that_do_not_say_what_they_are(doctor: Caller, person: str) -> None:
    media = await waiting(doctor, person)
    address = f"/fhir/Media/{media['id']}/$upload"
    await begun(doctor, media, 3 * STEP)

    assert (await doctor.ask("PATCH", address, b"x", Upload_Offset="0")).status_code == 415
    assert (await doctor.ask("PATCH", address, b"x", Content_Type=PARTIAL)).status_code == 400
    assert (await more(doctor, media, 0, b"nothing like a picture" * 300)).status_code == 422
    assert (await more(doctor, media, 0, b"")).status_code == 404


async def test_more_bytes_than_announced_are_refused_and_fewer_are_not_complete(doctor: Caller, person: str) -> None:
    media, sent = await waiting(doctor, person), jpeg(2 * STEP)
    await begun(doctor, media, len(sent))

    assert (await more(doctor, media, 0, sent + bytes(9))).status_code == 400
    assert (await more(doctor, media, 0, sent[:STEP], complete=True)).status_code == 400
    assert (await more(doctor, media, STEP, sent[STEP:], complete=True)).status_code == 200


async def test_a_media_that_does_not_wait_takes_no_bytes(doctor: Caller, person: str) -> None:
    media = await waiting(doctor, person)
    await doctor.post(f"/fhir/Media/{media['id']}/$upload", jpeg(), Content_Type="image/jpeg")

    again = await doctor.post(f"/fhir/Media/{media['id']}/$upload", jpeg(), Content_Type="image/jpeg")
    unknown = await doctor.post("/fhir/Media/unknown/$upload", jpeg(), Content_Type="image/jpeg")

    assert (again.status_code, unknown.status_code) == (409, 404)


async def test_a_length_is_needed_for_what_is_not_held(doctor: Caller, person: str) -> None:
    media = await waiting(doctor, person)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield jpeg(1 << 20)

    answer = await doctor.http.post(
        f"/fhir/Media/{media['id']}/$upload",
        content=endless(),
        headers={**doctor.headers, "Content-Type": "image/jpeg"},
    )

    assert answer.status_code == 400


async def test_m20_whoever_may_not_write_media_brings_no_bytes(clinic: InProcess, doctor: Caller, person: str) -> None:
    media = await waiting(doctor, person)
    reader = clinic.caller("system/Media.rs", "system/Binary.c")
    other = clinic.caller("patient/*.cruds", patient="somebody-else")

    for who, status in ((reader, 403), (other, 404), (clinic.stranger, 401)):
        answer = await who.post(
            "/fhir/Binary", jpeg(), Content_Type="image/jpeg", X_Security_Context=f"Media/{media['id']}"
        )
        assert answer.status_code == status
        assert (await who.ask("HEAD", f"/fhir/Media/{media['id']}/$upload")).status_code in {401, 403, 404}


async def test_200_mb_of_video_pass_through_little_memory(doctor: Caller, person: str) -> None:
    frames = 200_000_000
    head = box(b"ftyp", b"isom", bytes(4), b"mp42")
    index = box(b"moov", track(b"vide", [len(head) + 16], [frames]))
    length = len(head) + 16 + frames + len(index)
    media = await waiting(doctor, person, "video/mp4")

    async def film() -> AsyncIterator[bytes]:
        yield head + (1).to_bytes(4) + b"mdat" + (16 + frames).to_bytes(8)
        for _ in range(frames // 1_000_000):
            yield bytes(1_000_000)
        yield index

    headers = {**doctor.headers, "Content-Type": "video/mp4", "Content-Length": str(length)}
    tracemalloc.start()
    try:
        answer = await doctor.http.post(f"/fhir/Media/{media['id']}/$upload", content=film(), headers=headers)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    end = await doctor.get(f"/fhir/{read(answer)['content']['url']}", Range=f"bytes={length - 4}-")

    assert answer.status_code == 200
    assert read(answer)["content"]["size"] == length
    assert end.content == index[-4:]
    assert peak < 40 << 20


async def test_a_commit_that_fails_leaves_no_photo_and_can_be_tried_again(
    clinic: InProcess, doctor: Caller, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    media, sent = await waiting(doctor, person), jpeg(2 * STEP)
    await begun(doctor, media, len(sent), sent)

    async def failing(changes: object) -> object:
        raise UnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(clinic.clinic.engine.store, "commit", failing)
        refused = await more(doctor, media, len(sent), b"", complete=True)
    again = await more(doctor, media, len(sent), b"", complete=True)

    assert (refused.status_code, again.status_code) == (503, 200)
    assert await staged(clinic, media) == 0


async def test_a_commit_that_others_were_faster_than_is_decided_again(
    clinic: InProcess, doctor: Caller, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    media, sent = await waiting(doctor, person), jpeg(2 * STEP)
    await begun(doctor, media, len(sent), sent)
    store, tried = clinic.clinic.engine.store, 0
    commit = store.commit

    async def slower_once(changes: Sequence[Change]) -> Sequence[Stored]:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise ContendedError
        return await commit(changes)

    with monkeypatch.context() as patched:
        patched.setattr(store, "commit", slower_once)
        kept = await more(doctor, media, len(sent), b"", complete=True)

    assert (kept.status_code, tried) == (200, 2)
    assert (await doctor.get(f"/fhir/{read(kept)['content']['url']}")).status_code == 200
    assert await staged(clinic, media) == 0


async def test_a_long_body_that_ends_early_is_refused_and_nothing_is_kept(
    clinic: InProcess, doctor: Caller, person: str
) -> None:
    media = await waiting(doctor, person)
    before = await clinic.counts()

    answer = await doctor.post(
        f"/fhir/Media/{media['id']}/$upload", jpeg(9 << 20), Content_Type="image/jpeg", Upload_Length=str(10 << 20)
    )

    assert answer.status_code == 400
    assert await clinic.counts() == before


async def test_an_upload_whose_key_is_gone_has_ended(clinic: InProcess, doctor: Caller, person: str) -> None:
    media, sent = await waiting(doctor, person), jpeg(2 * STEP)
    await begun(doctor, media, len(sent), sent[:STEP])
    row = await clinic.mongo[clinic.database]["photos"].find_one({"owner": f"Media/{media['id']}"})
    assert row is not None
    await clinic.clinic.keyring.destroy([row["key"]], "test")

    assert (await more(doctor, media, STEP, sent[STEP:], complete=True)).status_code == 410
