"""From a withdrawn consent to the receipt, on a clinic in memory."""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import pytest

from fhir_server.consent.gate import Gate
from fhir_server.consent.law import law_of
from fhir_server.consent.lifecycle import Lifecycle
from fhir_server.consent.purposes import CARE_PHOTOGRAPHY, SYSTEM
from fhir_server.consent.standing import Standing
from fhir_server.consent.terms import WITHDRAWN_AT, instants
from fhir_server.crypto.keys import KeyClass
from fhir_server.engine.call import Interaction, Principal
from fhir_server.engine.change import BlobMove, Change
from fhir_server.engine.classification import key_class
from fhir_server.engine.tasks import Task
from fhir_server.fhir.compartments import subjects
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import NoLegalBasisError, StaleBasisError, UnavailableError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.ports import DESTROYED, LIVE, PENDING
from fhir_server.media.vocabulary import RENDITION
from fhir_server.privacy.kept_by_law import KeptByLaw
from fhir_server.privacy.ports import Holding, Picture
from fhir_server.privacy.receipt import Scribe
from fhir_server.privacy.reconsider import Reconsider
from fhir_server.privacy.remedies import restriction
from fhir_server.privacy.retention import pack
from fhir_server.privacy.withdrawal import RECONSIDER_PHOTOS, Withdrawal, withdraw
from fhir_server.privacy.within import Within
from tests.fakes.clinic import BASE, FakeClinic
from tests.fakes.clock import NOW
from tests.samples import jpeg
from tests.unit.engine import calls
from tests.unit.engine.calls import Running, call, running

pytestmark = pytest.mark.anyio

ANN = {"reference": "Patient/ann"}
HOLD = {"coding": [{"system": "urn:aesthetic-fhir-server:task", "code": "legal-hold"}]}
TOLD = {"identifier": {"system": "issuer", "value": "system"}}


@dataclass
class Holdings:
    """All that lies in memory; the class of each by its type."""

    clinic: FakeClinic
    found: Sequence[Picture] = ()

    async def of(self, patient: str) -> Sequence[Holding]:
        rows = [one for one in self.clinic.memory.current.values() if one.subjects == (patient,)]
        return [Holding(one, key_class(one.resource) if not one.deleted else KeyClass.RECORD, b"") for one in rows]

    async def keys(self, patient: str) -> Mapping[KeyClass, bytes]:
        """Nothing here is sealed."""
        return {}

    async def pictures(self, patient: str) -> Sequence[Picture]:
        return [one for one in self.found if patient in one.owners]

    async def destroy(self, keys: Collection[bytes], reason: str) -> None:
        """Nothing here is sealed."""


SERVER = Principal("server", "server", "", "", ("system/*.cruds",))


class LateGate(Gate):
    """A Gate that gets its ports when the clinic is there."""

    def __init__(self) -> None:
        """Nothing yet: `attach` follows."""

    def _attach(self, clinic: FakeClinic) -> None:
        super().__init__(standing(clinic), clinic.resources, BASE, clinic.elsewhere)


class LateLifecycle(Lifecycle):
    def __init__(self) -> None:
        """Nothing yet: `attach` follows."""

    def _attach(self, clinic: FakeClinic) -> None:
        super().__init__(clinic.resources, standing(clinic))


def standing(clinic: FakeClinic) -> Standing:
    return Standing(clinic.resources, clinic.heads, law_of("eu"))


def opened() -> Running:
    gate, lifecycle, numbers = LateGate(), LateLifecycle(), count(1)
    at = running(gate, lifecycle, Withdrawal(lambda: f"w{next(numbers)}"))
    gate._attach(at.clinic)
    lifecycle._attach(at.clinic)
    return at


def consent(id: str = "c1", *, purpose: str = CARE_PHOTOGRAPHY, type: str = "permit", status: str = "active") -> Json:
    return {
        "resourceType": "Consent",
        "id": id,
        "status": status,
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/ann"},
        "dateTime": "2026-01-05",
        "policy": [{"uri": "https://clinic.example/consent"}],
        "provision": {"type": type, "purpose": [{"system": SYSTEM, "code": purpose}]},
    }


async def give(at: Running, found: Json) -> None:
    await at.engine.update(call(Interaction.UPDATE, "Consent", found["id"]), found)


async def withdrawn(at: Running, id: str = "c1") -> Task | None:
    await withdraw(at.engine, call(Interaction.OPERATION, "Consent", id))
    leased = await at.clinic.tasks.lease()
    return leased.task if leased else None


async def photographed(at: Running, id: str = "m1", made: str = "") -> str:
    """A live photo of ann and its Media; the id of the photo."""
    owner = ResourceKey("Media", id)
    photo = await at.clinic.photos.put(b"pixels", "image/jpeg", owner, ("ann",))
    media: Json = {
        "resourceType": "Media",
        "id": id,
        "status": "completed",
        "subject": {"reference": "Patient/ann"},
        "content": {"contentType": "image/jpeg", "url": f"Binary/{photo.id}"},
    }
    if made:
        media["extension"] = [{"url": RENDITION, "valueCode": made}]
    change = Change(owner, media, None, subjects(media, BASE)).moving_blob(BlobMove(photo.id, PENDING, LIVE))
    await at.clinic.resources.commit([change])
    return photo.id


def handler(
    at: Running, jurisdiction: str = "eu", pictures: Sequence[Picture] = ()
) -> Callable[[Task], Awaitable[None]]:
    scribe = Scribe(
        lambda payload: base64.b64encode(payload).decode(),
        lambda text: hashlib.sha256(text.encode()).hexdigest(),
        "clinic",
        "After the next rotation.",
    )
    clinic = at.clinic
    holdings = Holdings(clinic, pictures)
    law = KeptByLaw(at.engine, clinic.resources, holdings, pack(jurisdiction))
    return Reconsider(
        at.engine,
        clinic.resources,
        standing(clinic),
        clinic.photos,
        scribe,
        clinic.clock,
        SERVER,
        Within(at.engine, standing(clinic), holdings, clinic.photos, clinic.clock, SERVER, law),
    )


def receipts(at: Running) -> list[Json]:
    """What each receipt states."""
    found = [one for one in at.clinic.memory.current.values() if one.key.type == "DocumentReference"]
    signed = [base64.b64decode(one.resource["content"][0]["attachment"]["data"]) for one in found]
    return [json.decode(base64.b64decode(one)) for one in signed]


async def test_withdrawing_ends_the_force_at_once_and_queues_one_task() -> None:
    at = opened()
    await give(at, consent())
    head = (await at.clinic.heads.heads(["ann"])).get("ann")
    assert head is not None
    assert head.consents == {ResourceKey("Consent", "c1"): 1}

    task = await withdrawn(at)

    head = (await at.clinic.heads.heads(["ann"])).get("ann")
    assert head is not None
    assert head.consents == {ResourceKey("Consent", "c1"): 2}  # it goes on to be respected
    assert task == Task(RECONSIDER_PHOTOS, "ann", "Consent/c1/_history/2")


async def test_a_second_withdrawal_changes_nothing() -> None:
    at = opened()
    await give(at, consent())
    await withdrawn(at)

    again = await withdraw(at.engine, call(Interaction.OPERATION, "Consent", "c1"))

    assert again.version == 2
    assert await at.clinic.tasks.lease() is None


@pytest.mark.parametrize("bad", [consent(status="draft"), consent(type="deny")])
async def test_only_a_consent_in_force_is_withdrawn(bad: Json) -> None:
    at = opened()
    await give(at, bad)

    with pytest.raises(UnprocessableError):
        await withdraw(at.engine, call(Interaction.OPERATION, "Consent", "c1"))


async def test_an_edit_that_leaves_the_provision_takes_nothing_away() -> None:
    at = opened()
    await give(at, consent())
    await give(at, {**consent(), "language": "en"})
    assert await at.clinic.tasks.lease() is None

    await give(at, consent(purpose="treatment"))

    leased = await at.clinic.tasks.lease()
    assert leased is not None
    assert leased.task.cause == "Consent/c1/_history/3"


async def test_deleting_a_consent_ends_it_too() -> None:
    at = opened()
    await give(at, consent())

    await at.engine.delete(call(Interaction.DELETE, "Consent", "c1"))

    leased = await at.clinic.tasks.lease()
    assert leased is not None
    assert leased.task.cause == "Consent/c1/_history/2"
    head = (await at.clinic.heads.heads(["ann"])).get("ann")
    assert head is not None
    assert head.consents == {}


async def test_photos_without_another_basis_go_and_a_receipt_says_so() -> None:
    at = opened()
    await give(at, consent())
    first, second = await photographed(at, "m1"), await photographed(at, "m2")
    task = await withdrawn(at)
    assert task

    await handler(at)(task)

    for id in (first, second):
        photo = await at.clinic.photos.find(id)
        assert photo is not None
        assert (photo.state, photo.reason) == (DESTROYED, task.cause)
    for media in ("m1", "m2"):
        stored = await at.clinic.resources.read(ResourceKey("Media", media))
        assert stored is not None
        assert stored.deleted
    [receipt] = receipts(at)
    assert {one["photo"] for one in receipt["destroyed"]} == {f"Binary/{first}", f"Binary/{second}"}
    assert (receipt["kept"], receipt["cause"], receipt["patient"]) == ([], task.cause, "Patient/ann")


async def test_photos_that_another_consent_covers_stay_and_the_receipt_says_why() -> None:
    at = opened()
    await give(at, consent("c1"))
    await give(at, consent("c2"))
    kept = await photographed(at)
    task = await withdrawn(at, "c1")
    assert task

    await handler(at)(task)

    photo = await at.clinic.photos.find(kept)
    assert photo is not None
    assert photo.state == LIVE
    [receipt] = receipts(at)
    assert receipt["destroyed"] == []
    assert receipt["kept"] == [{"photo": f"Binary/{kept}", "carriedBy": "Media/m1", "because": "Consent/c2/_history/1"}]


async def test_running_again_after_any_fault_finishes_with_one_receipt() -> None:
    at = opened()
    await give(at, consent())
    ids = [await photographed(at, f"m{number}") for number in range(3)]
    task = await withdrawn(at)
    assert task
    reconsider = handler(at)

    at.clinic.photos.failures.append(UnavailableError("away"))
    with pytest.raises(UnavailableError):
        await reconsider(task)
    assert receipts(at) == []
    at.clinic.audit.broken = True
    at.clinic.resources.failures.append(UnavailableError("away"))
    with pytest.raises(UnavailableError):
        await reconsider(task)
    at.clinic.audit.broken = False
    for _ in range(3):
        await reconsider(task)

    [receipt] = receipts(at)
    assert {one["photo"] for one in receipt["destroyed"]} == {f"Binary/{id}" for id in ids}


async def test_a_photo_whose_media_is_gone_already_is_destroyed() -> None:
    at = opened()
    await give(at, consent())
    orphan = await photographed(at)
    await at.engine.delete(call(Interaction.DELETE, "Media", "m1"))
    task = await withdrawn(at)
    assert task

    await handler(at)(task)

    photo = await at.clinic.photos.find(orphan)
    assert photo is not None
    assert photo.state == DESTROYED


async def test_t97_a_withdrawal_leaves_a_provenance_with_the_time_and_whose_word_it_was() -> None:
    at = opened()
    purposes = ("treatment", "training", "research", CARE_PHOTOGRAPHY)
    for purpose, (who, channel, agents) in zip(
        purposes,
        [
            (replace(calls.SYSTEM, patient="ann"), None, {"author": {"reference": "Patient/ann"}}),
            (calls.SYSTEM, "phone", {"author": {"reference": "Patient/ann"}, "enterer": TOLD}),
            (calls.SYSTEM, None, {"enterer": TOLD}),
            (calls.SYSTEM, "expiry", {"enterer": TOLD}),
        ],
        strict=True,
    ):
        key = ResourceKey("Consent", purpose)
        await give(at, consent(key.id, purpose=purpose))

        ended = await withdraw(at.engine, call(Interaction.OPERATION, *key, principal=who), channel)

        [trail] = [
            one.resource
            for one in at.clinic.memory.current.values()
            if one.key.type == "Provenance" and one.resource["target"] == [{"reference": f"{key}/_history/2"}]
        ]
        said = {one["type"]["coding"][0]["code"]: one["who"] for one in trail["agent"]}
        assert said == agents
        assert [trail["occurredDateTime"], trail["recorded"]] == [*instants(ended.resource, WITHDRAWN_AT), instant(NOW)]
        assert trail["activity"]["coding"][0]["code"] == ("expired" if channel == "expiry" else "withdrawn")
        assert ("reason" in trail) == (channel is not None)


async def test_t97_a_withdrawal_whose_time_is_none_happened_when_it_was_written() -> None:
    at = opened()
    await give(at, consent())

    await give(at, {**consent(status="inactive"), "extension": [{"url": WITHDRAWN_AT, "valueString": "soon"}]})

    [trail] = [one.resource for one in at.clinic.memory.current.values() if one.key.type == "Provenance"]
    assert trail["occurredDateTime"] == trail["recorded"]


@pytest.mark.parametrize("hold", [False, True])
async def test_s_82_what_the_law_keeps_is_restricted_and_not_destroyed(*, hold: bool) -> None:
    """The clinical original alone: what was made of it is made again, or not at all."""
    at = opened()
    await give(at, consent())
    original, small = await photographed(at), await photographed(at, "m2", made="thumbnail")
    if hold:
        held: Json = {"resourceType": "Task", "status": "requested", "intent": "order", "for": ANN, "code": HOLD}
        await at.engine.update(call(Interaction.UPDATE, "Task", "h"), {**held, "id": "h"})
    task = await withdrawn(at)
    assert task

    await handler(at, "eu" if hold else "fr")(task)

    states = [photo.state for id in (original, small) if (photo := await at.clinic.photos.find(id))]
    assert states == [LIVE, DESTROYED]
    [receipt] = receipts(at)
    because = receipt["kept"][0]["because"]
    assert because == "restricted: Task/h" if hold else because.startswith("restricted: fr-")
    with pytest.raises(NoLegalBasisError):
        await at.engine.read(call(Interaction.READ, "Media", "m1"))


async def test_a_receipt_outlives_the_record_that_it_speaks_of() -> None:
    at = opened()
    await give(at, consent())
    task = await withdrawn(at)
    assert task
    await handler(at)(task)
    [written] = [one for one in at.clinic.memory.current.values() if one.key.type == "DocumentReference"]

    assert key_class(written.resource) is KeyClass.PROOF
    assert written.subjects == ("ann",)
    assert written.resource["description"] == "0 photo(s) destroyed, 0 kept on another basis."


PIXELS = base64.b64encode(jpeg(200)).decode()


async def pictured(at: Running, *owners: str) -> Picture:
    """An Observation of ann with a picture in it, as the store has it under a key of its own."""
    key = ResourceKey("Observation", "o1")
    about = {"status": "final", "code": {"text": "Skin"}, "subject": ANN}
    drawn = {"url": "urn:drawn", "valueAttachment": {"contentType": "image/jpeg", "data": PIXELS}}
    change = Change(key, {"resourceType": "Observation", "id": "o1", **about, "extension": [drawn]}, None, ("ann",))
    [stored] = await at.clinic.resources.commit([change])
    return Picture(key, owners or ("ann",), b"k" * 16, stored, current=True)


async def data_of(at: Running, picture: Picture) -> str | None:
    current = await at.clinic.resources.read(picture.resource)
    assert current is not None
    found: Json = current.resource["extension"][0]["valueAttachment"]
    return found.get("data")


async def test_s_84_a_picture_in_a_resource_is_taken_out_and_named_in_the_receipt() -> None:
    at = opened()
    await give(at, consent())
    picture = await pictured(at)
    task = await withdrawn(at)
    assert task is not None

    await handler(at, pictures=[picture])(task)

    assert await data_of(at, picture) is None
    [said] = receipts(at)
    assert [one["carriedBy"] for one in said["destroyed"]] == ["Observation/o1"]


@pytest.mark.parametrize(
    ("jurisdiction", "given", "because"), [("fr", None, "restricted: "), ("eu", "c2", "Consent/c2")]
)
async def test_a_picture_in_a_resource_stays_where_law_or_a_consent_has_it_stay(
    jurisdiction: str, given: str | None, because: str
) -> None:
    at = opened()
    await give(at, consent())
    picture = await pictured(at)
    task = await withdrawn(at)
    assert task is not None
    if given:
        await give(at, {**consent(given), "dateTime": instant(NOW)})

    await handler(at, jurisdiction, [picture])(task)

    assert await data_of(at, picture) == PIXELS
    [said] = receipts(at)
    assert [one["because"][: len(because)] for one in said["kept"]] == [because]


async def test_a_picture_whose_resource_is_restricted_stays() -> None:
    at = opened()
    await give(at, consent())
    picture = await pictured(at)
    task = await withdrawn(at)
    assert task is not None
    request = ResourceKey("Task", "t1")
    await give(at, {**restriction(ResourceKey("Patient", "ann"), request, NOW, ()), "id": "r1"})

    await handler(at, pictures=[picture])(task)

    assert await data_of(at, picture) == PIXELS


async def test_what_was_taken_out_before_a_crash_is_destroyed_after_it() -> None:
    at = opened()
    await give(at, consent())
    picture = replace(await pictured(at), newest=None, current=False)
    task = await withdrawn(at)
    assert task is not None

    await handler(at, pictures=[picture])(task)

    assert [one["carriedBy"] for one in receipts(at)[0]["destroyed"]] == ["Observation/o1"]


async def test_a_key_that_seals_nothing_yet_is_left_where_there_is_a_basis() -> None:
    at = opened()
    await give(at, consent())
    picture = replace(await pictured(at), newest=None, current=False)
    task = await withdrawn(at)
    assert task is not None
    await give(at, {**consent("c2"), "dateTime": instant(NOW)})

    await handler(at, pictures=[picture])(task)

    assert (receipts(at)[0]["destroyed"], receipts(at)[0]["kept"]) == ([], [])


async def test_a_resource_that_is_changed_meanwhile_is_looked_at_again() -> None:
    at = opened()
    await give(at, consent())
    picture = await pictured(at)
    task = await withdrawn(at)
    assert task is not None
    at.clinic.resources.failures.append(StaleBasisError("A consent came in between."))

    await handler(at, pictures=[picture])(task)

    assert await data_of(at, picture) is None


class Vanishing(list[Picture]):
    """They are there for one look."""

    def __iter__(self) -> Iterator[Picture]:
        seen = list(super().__iter__())
        self.clear()
        return iter(seen)


async def test_what_went_meanwhile_is_left_and_what_never_rests_is_tried_again() -> None:
    at = opened()
    await give(at, consent())
    picture = await pictured(at)
    task = await withdrawn(at)
    assert task is not None
    at.clinic.resources.failures.append(StaleBasisError("It went."))
    await handler(at, pictures=Vanishing([picture]))(task)
    assert receipts(at)[0]["destroyed"] == []
    at.clinic.resources.failures.extend(StaleBasisError("Again.") for _ in range(5))

    with pytest.raises(UnavailableError, match="runs again"):
        await handler(at, pictures=[picture])(task)
