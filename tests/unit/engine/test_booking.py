"""Booking where others keep being faster."""

from collections.abc import Sequence

import pytest

from fhir_server.engine.booking import Booking
from fhir_server.engine.call import Interaction
from fhir_server.engine.change import Change
from fhir_server.engine.courtesy import Courtesy
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ConflictError, StaleVersionError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.engine.calls import Running, call, running

pytestmark = pytest.mark.anyio

SLOT: Json = {
    "resourceType": "Slot",
    "id": "s",
    "schedule": {"reference": "Schedule/days"},
    "status": "free",
    "start": "2031-05-06T09:00:00Z",
    "end": "2031-05-06T09:30:00Z",
}


async def with_a_slot() -> Running:
    own = running()
    await own.clinic.resources.commit([own.drafts.of(ResourceKey("Slot", "s"), SLOT)])
    return own


async def test_who_is_overtaken_once_looks_again_and_books(monkeypatch: pytest.MonkeyPatch) -> None:
    own = await with_a_slot()
    commit, tries = own.clinic.resources.commit, 0

    async def overtaken_once(changes: Sequence[Change]) -> tuple[Stored, ...]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StaleVersionError("Somebody was faster.")
        return await commit(changes)

    monkeypatch.setattr(own.clinic.resources, "commit", overtaken_once)

    booked = await Booking(own.engine, lambda: "a").book(
        call(Interaction.OPERATION, "Appointment"), "Appointment/s", "Patient/ann"
    )

    assert (booked.resource["status"], tries) == ("booked", 2)


async def test_who_is_overtaken_for_ever_is_told_that_the_time_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    own = await with_a_slot()
    own.engine.courtesy = Courtesy(patience=0)

    async def overtaken(changes: Sequence[Change]) -> tuple[Stored, ...]:
        raise StaleVersionError("Somebody was faster.")

    monkeypatch.setattr(own.clinic.resources, "commit", overtaken)

    with pytest.raises(ConflictError):
        await Booking(own.engine, lambda: "a").hold(call(Interaction.OPERATION, "Appointment"), "Appointment/s")
