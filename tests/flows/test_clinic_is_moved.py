"""S96, M22; HDS requirement 27: a clinic moves to another host, versions, ids, times and photos, and is the same."""

import base64
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from fhir_server.crypto.errors import ArchiveError, SignatureError
from fhir_server.crypto.recipient import Recipient, new_pair
from fhir_server.engine.change import Change
from fhir_server.engine.stored import Stored
from fhir_server.kernel import json
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.json import Json
from fhir_server.privacy.reversibility import exporting, taking
from fhir_server.store.photos import Photos
from fhir_server.store.resources import Resources
from tests.clinics import InProcess, read, running
from tests.flows.moving import (
    NEXT_HOST,
    PRIVATE,
    PUBLIC,
    asked,
    export,
    members,
    opened,
    packed,
    take_by_command,
    take_in,
)
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

PHOTO, SCAN = jpeg(1_200_000, plain=True), base64.b64encode(bytes(900_000)).decode()


@pytest.fixture(scope="module", autouse=True)
def _at_once() -> Iterator[None]:
    """What was written a moment ago is in the archive: nobody else writes here. And its files are soon full."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "LEEWAY", timedelta(seconds=-5))
        patch.setattr(exporting, "_MOST_LINES", 2)
        patch.setattr(taking, "_TOGETHER", 1)
        yield


@pytest.fixture(scope="module")
async def before(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "host_before", tmp_path_factory.mktemp("before"), worker_interval=3600) as clinic:
        await fill(clinic)
        yield clinic


@pytest.fixture(scope="module")
async def archive(before: InProcess) -> bytes:
    answer = await export(before)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.fixture(scope="module")
async def other(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "host_other", tmp_path_factory.mktemp("other"), worker_interval=3600) as clinic:
        yield clinic


async def fill(clinic: InProcess) -> None:
    """Patients of several versions, one of them deleted; consents, photos, a large document, an order of the clinic."""
    doctor = clinic.caller()
    await doctor.store({"resourceType": "Organization", "id": NEXT_HOST, "name": "Next host"})
    await doctor.store({**patient("Movedsen"), "id": "moved"})
    await doctor.put("/fhir/Patient/moved", {**patient("Movedsen"), "id": "moved", "birthDate": "1974-12-25"})
    await doctor.store({**patient("Gonesen"), "id": "gone"})
    await doctor.delete("/fhir/Patient/gone")
    await doctor.store({**consent("moved"), "id": "agreed"})
    await doctor.store({**consent("moved", "website"), "id": "withdrawn"})
    await doctor.post("/fhir/Consent/withdrawn/$withdraw")
    while (leased := await clinic.clinic.store.tasks.lease()) is not None:
        await clinic.clinic.store.tasks.done(leased)
    await doctor.store({**media("moved", PHOTO), "id": "face"})
    await doctor.store({**media("moved", jpeg()), "id": "hand"})
    await doctor.store({**document(SCAN), "id": "scan"})
    await doctor.put("/fhir/DocumentReference/scan", {**document(SCAN), "id": "scan", "status": "superseded"})
    number = {"value": json.decode(b"1.50"), "unit": "ml"}
    await doctor.store({**observed(), "id": "again"})
    await doctor.store({**observed(), "id": "amount", "valueQuantity": number})


def observed() -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "amount"},
        "subject": {"reference": "Patient/moved"},
    }


def document(data: str) -> Json:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": "Patient/moved"},
        "content": [{"attachment": {"contentType": "application/pdf", "data": data}}],
    }


async def test_s_96_what_another_clinic_takes_in_is_the_same_to_the_byte(
    before: InProcess, archive: bytes, mongo_uri: str, tmp_path: Path
) -> None:
    async with running(mongo_uri, "host_after", tmp_path / "after", worker_interval=3600) as after:
        assert await take_by_command(after, archive, before, tmp_path) == 0
        await after.clinic.store.sequencer.once()
        verified = await after.clinic.store.verification.verify([])
        again = (await export(after)).content
        shown = f"/fhir/{read(await after.caller().get('/fhir/Media/face'))['content']['url']}"
        photo = await after.caller().get(shown)
        history = read(await after.caller().get("/fhir/Patient/moved/_history"))
        search = read(await after.caller().get("/fhir/Patient?family=movedsen"))
        gate = [(await after.caller(purposes=(purpose,)).get(shown)).status_code for purpose in ("TREAT", "HMARKT")]
        events = await after.trail.events()

    there, here = opened(archive), opened(again)
    assert there.versions == here.versions == sorted(there.versions)
    assert [place[:3] for place in here.versions if place[0] == "Patient"] == [
        *(["Patient", "gone", 1], ["Patient", "gone", 2], ["Patient", "moved", 1], ["Patient", "moved", 2])
    ]
    assert there.lines("photo-list") == here.lines("photo-list")
    assert there.lines("resources") == here.lines("resources")
    assert there.lines("heads") == here.lines("heads")
    assert photo.content == PHOTO
    assert [one["resource"]["meta"] for one in history["entry"]] == [
        one["resource"]["meta"] for one in read(await before.caller().get("/fhir/Patient/moved/_history"))["entry"]
    ]
    assert search["total"] == 1
    assert gate == [200, 403]
    assert verified.rows > len(here.versions)
    assert sum("Patient/moved" in str(event) for event in events) >= sum(
        "moved" in str(one) for one in here.lines("resources")
    )


async def test_s_96_one_that_was_stopped_goes_on_and_another_in_its_place_is_refused(
    before: InProcess, archive: bytes, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [2]

    async def arrive(*_: object) -> None:
        raise UnavailableError("stopped")

    async def commit(self: Resources, changes: Sequence[Change]) -> tuple[Stored, ...]:
        left[0] -= 1
        if not left[0]:
            raise UnavailableError("stopped")
        return await whole(self, changes)

    whole = Resources.commit
    async with running(mongo_uri, "host_halted", tmp_path / "halted", worker_interval=3600) as halted:
        with monkeypatch.context() as patch:
            patch.setattr(Photos, "arrive", arrive)
            with pytest.raises(UnavailableError):
                await take_in(halted, archive, before, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(Resources, "commit", commit)
            with pytest.raises(UnavailableError):
                await take_in(halted, archive, before, tmp_path)
        halfway = await halted.counts()

        await take_in(halted, archive, before, tmp_path)
        once = await halted.counts()
        await take_in(halted, archive, before, tmp_path)

        assert 0 < halfway["resources"] < once["resources"]
        assert opened((await export(halted)).content).versions == opened(archive).versions
        assert await halted.counts() == once
        photos = halted.mongo[halted.database]["photos"]
        for alike, other, says in (
            ({"state": "live"}, {"state": "destroyed"}, "was destroyed"),
            ({"subjects": ["moved"]}, {"subjects": ["another"]}, "Another photo"),
        ):
            await photos.update_many(alike, {"$set": other})
            with pytest.raises(ArchiveError, match=says):
                await take_in(halted, archive, before, tmp_path)
            await photos.update_many(other, {"$set": alike})
        await halted.caller().put("/fhir/Patient/moved", {**patient("Othersen"), "id": "moved"})
        with pytest.raises(ArchiveError, match="Patient/moved is here in a newer version"):
            await take_in(halted, archive, before, tmp_path)


async def test_s_96_what_collides_is_refused_and_nothing_is_written(
    before: InProcess, archive: bytes, mongo_uri: str, tmp_path: Path
) -> None:
    async with running(mongo_uri, "host_taken", tmp_path / "taken", worker_interval=3600) as taken:
        await taken.caller().store({**patient("Elsewise"), "id": "moved"})
        held = await taken.counts()

        with pytest.raises(ArchiveError, match="Another Patient/moved is here"):
            await take_in(taken, archive, before, tmp_path)

        assert await taken.counts() == held


def face(archive: bytes, piece: int) -> str:
    """A piece of the photo that has two; photos come in the order of their ids."""
    [second] = [name for name, _ in members(archive) if name.startswith("photos/") and name.endswith("/000002")]
    return f"{second[:-1]}{piece}"


def changed(archive: bytes, name: str, content: bytes | None) -> bytes:
    """With another member in the place of one, or without it."""
    found = [(one, content if one == name else old) for one, old in members(archive)]
    return packed([(one, new) for one, new in found if new is not None])


def flipped(archive: bytes, name: str) -> bytes:
    content = dict(members(archive))[name]
    return changed(archive, name, content[:-30] + bytes([content[-30] ^ 1]) + content[-29:])


def forged(archive: bytes) -> bytes:
    """By somebody who has the public key as well: another photo, well encrypted, in the place of one."""
    found = dict(members(archive))
    id = json.decode(found["opening.json"])["archive"]
    piece = Recipient.of(PUBLIC).encrypted(
        bytes(len(PHOTO) - (1 << 20)), id, face(archive, 2).rpartition("/")[0], 2, final=True
    )
    return changed(archive, face(archive, 2), piece)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda archive: flipped(archive, "resources/000001/000001"),
        lambda archive: flipped(archive, face(archive, 2)),
        lambda archive: flipped(archive, "manifest.jws"),
        lambda archive: changed(archive, "manifest.jws", None),
        lambda archive: changed(archive, face(archive, 1), None),
        lambda archive: changed(archive, "heads/000001/000001", None),
        lambda archive: changed(archive, "opening.json", None),
        lambda archive: changed(archive, "opening.json", b"{}"),
        lambda archive: packed([*members(archive), ("resources/000002/000001", b"more")]),
        lambda archive: archive[: len(archive) // 2],
        lambda archive: archive[:100],
        lambda archive: changed(changed(archive, face(archive, 1), None), face(archive, 2), None),
        lambda archive: changed(archive, face(archive, 2), None),
        forged,
    ],
)
async def test_s_96_a_spoilt_archive_is_refused_and_nothing_is_written(
    before: InProcess, archive: bytes, other: InProcess, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    held = await other.counts()

    with pytest.raises((ArchiveError, SignatureError)):
        await take_in(other, spoil(archive), before, tmp_path)

    assert await other.counts() == held


async def test_s_96_neither_another_key_nor_another_signature_will_do(
    before: InProcess, archive: bytes, other: InProcess, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveError, match="does not open with this key"):
        await take_in(other, archive, before, tmp_path, new_pair()[0])
    with pytest.raises(ArchiveError, match="public key"):
        await take_in(other, archive, before, tmp_path, PUBLIC)
    with pytest.raises(SignatureError):
        await take_in(other, archive, other, tmp_path)


async def test_s_96_only_the_controllers_purpose_takes_everything_out(before: InProcess) -> None:
    for purpose, scopes in (("TREAT", ()), ("RECORDMGT", ("system/Patient.rs",)), ("RECORDMGT", ("system/*.r",))):
        assert (await export(before, None, purpose, *scopes)).status_code == 403
    person = before.caller("user/*.rs", role="administrator", purposes=("RECORDMGT",))
    assert (await person.post("/fhir/$reversibility-export", asked())).status_code == 403
    twice = asked()
    twice["parameter"].append({"name": "recipient", "valueReference": {"reference": "Organization/other"}})
    for body in (asked("{}"), asked(PRIVATE), asked(recipient="nobody"), twice):
        assert (await export(before, body)).status_code == 422


async def test_s_96_it_is_recorded_for_each_patient_to_whom_it_went(before: InProcess) -> None:
    async with before.trail.recording() as recorded:
        await export(before)

    told = [event for event in recorded.events if event["type"]["code"] == "110106"]
    assert {f"Patient/{patient}" in str(event) for event in told for patient in ("moved",)} == {True, False}
    assert all(f"Organization/{NEXT_HOST}" in str(event) and "RECORDMGT" in str(event) for event in told)


async def test_s_96_what_is_to_be_destroyed_is_destroyed_before(before: InProcess) -> None:
    tasks = before.mongo[before.database]["tasks"]
    await tasks.insert_one({"_id": "waiting", "name": "reconsider-photos"})

    answer = await export(before)

    await tasks.delete_one({"_id": "waiting"})
    assert answer.status_code == 409
