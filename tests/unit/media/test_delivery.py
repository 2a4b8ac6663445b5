"""The bytes of a photo leave while it is live and its Media carries it, and as long as the token holds."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.change import BlobMove, CareBasis
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import Head
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import (
    EndedTokenError,
    GoneError,
    NoLegalBasisError,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
)
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.delivery import Delivery
from fhir_server.media.ports import CONDEMNED, LIVE, PENDING, Photo
from tests.fakes.clock import NOW, FakeClock
from tests.fakes.memory import Memory
from tests.fakes.photo_vault import PART, FakePhotos
from tests.unit.engine.calls import SYSTEM, Running, running

pytestmark = pytest.mark.anyio
OWNER = ResourceKey("Media", "one")


class Grants:
    """All hold until `over`."""

    over = False

    async def ended(self, ids: Collection[str]) -> Mapping[str, str]:
        return dict.fromkeys(ids, "signed out") if self.over else {}


class Watch:
    """Lets all pass until it `stops`."""

    stops = False

    async def opened(self, _call: Call, _media: Stored) -> None:
        if self.stops:
            raise TooManyRequestsError("enough")


class Fetching(FakePhotos):
    """Says when bytes are asked for, and holds them back until it is `free`."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self.asked, self.free, self.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.free.set()

    async def stream(self, photo: Photo, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        self.asked.set()
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        async for part in super().stream(photo, start, stop):
            yield part


class Deciding(Step):
    """Waits for what it is told to wait for, and then decides as it is told to."""

    def __init__(self) -> None:
        self.after: asyncio.Event | None = None
        self.decide: Callable[[Call], None] = lambda _: None

    async def disclose(self, call: Call, stored: Stored) -> Stored:
        if self.after:
            await self.after.wait()
        self.decide(call)
        return stored


def refuse(_: Call) -> None:
    raise NoLegalBasisError("withdrawn")


class Scene:
    def __init__(self) -> None:
        self.deciding = Deciding()
        self.on: Running = running(self.deciding)
        self.grants, self.clock = Grants(), FakeClock()
        clinic = self.on.clinic
        self.vault = Fetching(clinic.memory)
        self.watch = Watch()
        self.delivery = Delivery(
            self.on.engine,
            self.vault,
            self.clock,
            lambda _call, _type: True,
            clinic.heads,
            self.grants,
            self.watch,
        )

    async def photo(self, **content: object) -> Photo:
        """Live, of a Media that says so."""
        photo = await self.on.clinic.photos.put(b"\xff" * (PART + 1), "image/jpeg", OWNER, ("ann",))
        media = {
            "resourceType": "Media",
            "id": "one",
            "status": "completed",
            "subject": {"reference": "Patient/ann"},
            "content": {"contentType": "image/jpeg", "url": f"Binary/{photo.id}", **content},
        }
        change = self.on.drafts.of(OWNER, media, None, "PUT").moving_blob(BlobMove(photo.id, PENDING, LIVE))
        await self.on.engine.commit(Call(Interaction.UPDATE, SYSTEM, NOW, "Media", "one"), change)
        return photo


def asking(photo: Photo) -> Call:
    principal = replace(SYSTEM, grant="of-the-token")
    return Call(Interaction.READ, principal, NOW, "Binary", photo.id)


async def test_m1_a_condemned_photo_is_gone_though_its_media_can_be_read() -> None:
    scene = Scene()
    photo = await scene.photo()
    scene.on.clinic.memory.photos[photo.id] = replace(photo, state=CONDEMNED)

    with pytest.raises(GoneError):
        await scene.delivery.open(asking(photo))


async def test_m1_a_photo_that_its_media_does_not_carry_is_not_shown() -> None:
    scene = Scene()
    photo = await scene.photo(url="https://elsewhere.example/picture")

    with pytest.raises(NotFoundError):
        await scene.delivery.open(asking(photo))


async def test_m1_a_running_stream_is_cut_when_the_token_ends() -> None:
    scene = Scene()
    call = asking(await scene.photo())
    opened = await scene.delivery.open(call)
    assert opened is not None
    stream = scene.delivery.stream(call, opened, 0, opened.photo.length)
    first = await anext(stream)
    scene.grants.over = True

    with pytest.raises(EndedTokenError):
        await anext(stream)

    assert len(first) == PART


async def test_s_23_who_watches_what_leaves_can_stop_it() -> None:
    scene = Scene()
    photo = await scene.photo()
    scene.watch.stops = True

    with pytest.raises(TooManyRequestsError):
        await scene.delivery.open(asking(photo))


async def test_bytes_are_fetched_while_it_is_decided_and_come_once_it_is_recorded() -> None:
    scene = Scene()
    photo = await scene.photo()
    scene.deciding.after = scene.vault.asked

    opened = await scene.delivery.open(asking(photo), whole=True)

    assert opened is not None
    assert len(opened.first) == PART
    assert scene.on.outcomes()[-1] == ("read", "0")


async def test_a_photo_comes_in_parts_whatever_was_fetched_of_it() -> None:
    scene = Scene()
    photo = await scene.photo()
    opened = await scene.delivery.open(asking(photo), whole=True)
    assert opened is not None

    async def lengths(start: int, stop: int) -> list[int]:
        return [len(part) async for part in scene.delivery.stream(asking(photo), opened, start, stop)]

    assert await lengths(0, PART + 1) == [PART, 1]
    assert await lengths(0, 9) == [9]
    assert await lengths(PART - 1, PART + 1) == [1, 1]
    assert await lengths(PART, PART + 1) == [1]
    assert await lengths(5, 5) == []


async def test_what_was_fetched_is_dropped_where_the_decision_refuses() -> None:
    scene = Scene()
    photo = await scene.photo()
    scene.deciding.after, scene.deciding.decide = scene.vault.asked, refuse

    with pytest.raises(NoLegalBasisError):
        await scene.delivery.open(asking(photo), whole=True)

    assert scene.on.outcomes()[-1] == ("read", "4")


async def test_what_is_still_fetched_when_the_decision_refuses_is_called_off() -> None:
    scene = Scene()
    photo = await scene.photo()
    scene.deciding.after, scene.deciding.decide = scene.vault.asked, refuse
    scene.vault.free.clear()

    with pytest.raises(NoLegalBasisError):
        await scene.delivery.open(asking(photo), whole=True)

    await scene.vault.cancelled.wait()


async def test_a_withdrawal_between_the_decision_and_its_record_keeps_back_what_was_fetched() -> None:
    """What the decision relied on is no epoch of the patient's when it is recorded: it is made anew."""
    scene = Scene()
    photo = await scene.photo()

    def permit_and_withdraw(call: Call) -> None:
        call.trace.bases["ann"] = CareBasis("care", "ann", 7)
        scene.deciding.decide = refuse

    scene.deciding.after, scene.deciding.decide = scene.vault.asked, permit_and_withdraw

    with pytest.raises(NoLegalBasisError):
        await scene.delivery.open(asking(photo), whole=True)

    assert scene.on.outcomes()[-1] == ("read", "4")


async def test_nothing_leaves_where_the_log_cannot_be_written() -> None:
    scene = Scene()
    photo = await scene.photo()
    scene.deciding.after, scene.on.clinic.audit.broken = scene.vault.asked, True

    with pytest.raises(UnavailableError):
        await scene.delivery.open(asking(photo), whole=True)


async def test_a_photo_whose_key_is_destroyed_while_it_is_opened_is_gone_and_the_log_says_so() -> None:
    scene = Scene()
    photo = await scene.photo()
    del scene.on.clinic.memory.bytes_of[photo.id]

    with pytest.raises(GoneError):
        await scene.delivery.open(asking(photo), whole=True)

    assert scene.on.outcomes()[-1] == ("read", "4")


async def test_what_held_a_moment_ago_is_not_looked_at_again() -> None:
    """A withdrawal or a revocation that comes after the look comes after the reading, as one after its record does."""
    scene = Scene()
    photo = await scene.photo()

    def permit_as_both_end(call: Call) -> None:
        call.trace.bases["ann"] = CareBasis("care", "ann", 1)
        scene.on.clinic.memory.ended_grants.add("of-the-token")
        scene.on.clinic.memory.heads["ann"] = Head("ann", 2, {})

    scene.deciding.after, scene.deciding.decide = scene.vault.asked, permit_as_both_end

    opened = await scene.delivery.open(asking(photo), whole=True)

    assert opened is not None
    assert scene.on.outcomes()[-1] == ("read", "0")


async def test_what_held_longer_ago_is_looked_at_again_when_it_is_recorded() -> None:
    scene = Scene()
    photo = await scene.photo()

    def permit_after_a_while(call: Call) -> None:
        call.trace.bases["ann"] = CareBasis("care", "ann", 1)
        scene.on.clinic.memory.heads["ann"] = Head("ann", 2, {})
        scene.clock.advance(timedelta(milliseconds=21))
        scene.deciding.decide = refuse

    scene.deciding.after, scene.deciding.decide = scene.vault.asked, permit_after_a_while

    with pytest.raises(NoLegalBasisError):
        await scene.delivery.open(asking(photo), whole=True)


async def test_the_look_is_good_for_the_record_of_this_reading_and_for_no_later_one() -> None:
    scene = Scene()
    call = asking(await scene.photo())

    await scene.delivery.open(call)

    assert call.trace.looked is None


async def test_a_grant_that_ended_before_the_look_is_told_by_the_log() -> None:
    scene = Scene()
    photo = await scene.photo()
    scene.grants.over = True
    scene.on.clinic.memory.ended_grants.add("of-the-token")

    with pytest.raises(EndedTokenError):
        await scene.delivery.open(asking(photo), whole=True)


async def test_a_part_that_was_fetched_while_it_was_decided_that_it_may_not_leave_is_dropped() -> None:
    scene = Scene()
    call = asking(await scene.photo())
    opened = await scene.delivery.open(call)
    assert opened is not None
    stream = scene.delivery.stream(call, opened, 0, opened.photo.length)
    await anext(stream)
    scene.deciding.decide = refuse

    with pytest.raises(NoLegalBasisError):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
