"""The runtime that keeps two servers in step, on servers in memory: what goes wrong, what waits, what is taken back."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from mappers.fhir_sync.authority import Authority, Side, published
from mappers.fhir_sync.elements import COPY_OF
from mappers.runtime.delivery import Outcome
from mappers.runtime.faults import NotNowError, RejectedError
from mappers.runtime.records import Records
from mappers.runtime.remote import Remote
from mappers.runtime.server import Server
from mappers.runtime.syncing.links import Links
from mappers.runtime.syncing.pairs import Pairs
from mappers.runtime.syncing.partners import Partners
from mappers.runtime.syncing.photos import Photos
from mappers.runtime.syncing.putting_aside import PuttingAside
from mappers.runtime.syncing.rounds import Rounds
from mappers.runtime.syncing.writing import Writing
from tests.mappers.memory_server import MemoryServer
from tests.mappers.test_fhir_sync import RECIPIENT, consent, decided

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ACTOR = {"reference": "Patient/p"}


def made(here: MemoryServer, there: MemoryServer, they: str = "ehr", name: str = "ehr") -> Rounds:
    ours, theirs, server = cast("Remote", here), cast("Remote", there), cast("Server", here)
    sides = {Side.OURS: ours, Side.THEIRS: theirs}
    records = Records(name, "a key of the runtime's own")
    pairs = Pairs(
        sides,
        Links(server, ours, records),
        Partners(sides),
        Photos(ours, RECIPIENT, lambda: NOW),
        Writing(server, sides, records, lambda: NOW),
        Authority(frozenset({they}), published()),
        {RECIPIENT: "Organization/there"},
    )
    return Rounds(pairs, PuttingAside(server, records, lambda: NOW), "2026-01-01T00:00:00Z")


@pytest.fixture
def here() -> MemoryServer:
    return MemoryServer("https://us.example/fhir")


@pytest.fixture
def there() -> MemoryServer:
    return MemoryServer("https://them.example/fhir")


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", "id": "p", "birthDate": "1990", **more}


def booking(**more: Any) -> Json:
    who = [{"actor": ACTOR, "status": "accepted"}]
    return {"resourceType": "Appointment", "id": "a", "status": "booked", "participant": who, **more}


def photo(**more: Any) -> Json:
    content = {"contentType": "image/jpeg", "url": "Binary/b", "hash": "x"}
    return {"resourceType": "Media", "id": "m", "status": "completed", "subject": ACTOR, "content": content, **more}


async def test_both_sides_may_run_it_and_nothing_comes_back_as_a_copy_of_a_copy(
    here: MemoryServer, there: MemoryServer
) -> None:
    """Each runs a runtime of its own against the other, in the opposite role."""
    mine, yours = made(here, there), made(there, here, "booking", "clinic")
    here.put(patient())
    here.put(booking())
    for _ in range(2):
        await mine.poll()
        await yours.poll()
    before = (here.writes, there.writes)

    await mine.poll()
    await yours.poll()

    assert (len(here.of("Patient")), len(there.of("Patient"))) == (1, 1)
    assert (len(here.of("Appointment")), len(there.of("Appointment"))) == (1, 1)
    assert (here.writes, there.writes) == before


async def test_a_stop_after_their_write_and_before_our_mark_makes_no_second_copy(
    here: MemoryServer, there: MemoryServer
) -> None:
    here.put(patient())
    await made(here, there).poll()
    for reference in [one for one in here.resources if one.startswith("Basic/")]:
        here.drop(reference)

    await made(here, there).poll()

    assert len(there.of("Patient")) == 1
    assert len(here.of("Patient")) == 1


async def test_their_copy_of_ours_is_known_by_what_it_says_it_is_a_copy_of(
    here: MemoryServer, there: MemoryServer
) -> None:
    origin = {"use": "secondary", "system": COPY_OF, "value": f"{here.base}/Patient/p"}
    stranger = {"use": "secondary", "system": COPY_OF, "value": f"{here.base}/Patient/nobody"}
    here.put(patient())
    there.put(patient(id="copy", identifier=[stranger, origin], gender="female"))

    await made(here, there).poll()

    assert here.resources["Patient/p"]["gender"] == "female"
    assert len(there.of("Patient")) == 1


@pytest.mark.parametrize("doubtful", ["two copies", "taken"])
async def test_whoever_cannot_be_told_apart_is_put_aside(
    here: MemoryServer, there: MemoryServer, doubtful: str
) -> None:
    number = [{"system": "urn:a", "value": "1"}]
    copy = [{"use": "secondary", "system": COPY_OF, "value": f"{there.base}/Patient/p"}]
    if doubtful == "two copies":
        here.put(patient(id="one", identifier=copy))
        here.put(patient(id="two", identifier=copy))
        there.put(patient())
    else:
        here.put(patient(id="one", identifier=number))
        there.put(patient(identifier=number))
        await made(here, there).poll()
        there.put(patient(id="again", identifier=number))

    found = await made(here, there).poll()

    assert found[Outcome.DEAD] >= 1
    assert [task["status"] for task in here.of("Task") if "statusReason" in task]


async def test_what_names_a_patient_who_is_not_there_yet_waits_and_is_taken_after_them(
    here: MemoryServer, there: MemoryServer
) -> None:
    there.put(patient())
    there.put(booking())
    there.refuses["Patient/p"] = 403
    first = await made(here, there).poll()
    del there.refuses["Patient/p"]
    await made(here, there).poll()
    await made(here, there).poll()

    assert (first[Outcome.DEAD], first[Outcome.WAITING]) == (1, 1)
    assert len(here.of("Appointment")) == 1


async def test_who_is_overtaken_each_time_comes_again_later(here: MemoryServer, there: MemoryServer) -> None:
    here.put(patient())
    here.put(booking())
    await made(here, there).poll()
    [copy] = there.of("Appointment")
    there.refuses[f"Appointment/{copy['id']} written"] = 412
    here.put({**here.resources["Appointment/a"], "status": "cancelled"})

    with pytest.raises(NotNowError):
        await made(here, there).poll()

    del there.refuses[f"Appointment/{copy['id']} written"]
    await made(here, there).poll()
    assert there.of("Appointment")[0]["status"] == "cancelled"


async def with_photo(here: MemoryServer, there: MemoryServer) -> Json:
    here.put(patient())
    here.put({**consent(), "id": "c", "patient": ACTOR})
    here.put(photo())
    here.decided = decided("permit")
    await made(here, there).poll()
    [copy] = there.of("Media")
    return copy


async def test_a_photograph_goes_with_its_bytes_and_is_not_sent_again(here: MemoryServer, there: MemoryServer) -> None:
    copy = await with_photo(here, there)
    before = there.writes

    await made(here, there).poll()

    assert copy["content"] == {"contentType": "image/jpeg", "data": "Ynl0ZXMgb2YgQmluYXJ5L2I="}
    assert there.writes == before


@pytest.mark.parametrize("how", ["refused", "destroyed", "hidden"])
async def test_a_photograph_that_may_not_be_there_any_more_is_taken_back(
    here: MemoryServer, there: MemoryServer, how: str
) -> None:
    await with_photo(here, there)
    here.put({**here.resources["Consent/c"], "status": "inactive"})
    if how == "destroyed":
        here.drop("Media/m")
    if how == "hidden":
        here.refuses["Media/m"] = 403

    await made(here, there).poll()
    await made(here, there).poll()

    assert there.of("Media") == []


async def test_where_they_keep_what_they_have_it_says_there_that_it_should_not_be(
    here: MemoryServer, there: MemoryServer
) -> None:
    copy = await with_photo(here, there)
    there.refuses[f"Media/{copy['id']} deleted"] = 409
    here.put({**here.resources["Consent/c"], "status": "inactive"})

    await made(here, there).poll()

    assert there.of("Media")[0]["status"] == "entered-in-error"


async def test_without_a_name_for_them_and_without_a_decision_no_photograph_goes(
    here: MemoryServer, there: MemoryServer
) -> None:
    here.put(patient())
    here.put({**consent(), "id": "c", "patient": ACTOR})
    here.put(photo())
    rounds = made(here, there)
    nameless = replace(rounds, pairs=replace(rounds.pairs, photos=replace(rounds.pairs.photos, recipient=None)))

    await nameless.poll()

    assert there.of("Media") == []

    async def unreadable(asked: str) -> None:
        raise RejectedError(403, "suppressed")

    undecided = cast("Remote", type("Undecided", (), {"read": staticmethod(unreadable)})())
    assert not await Photos(undecided, RECIPIENT, lambda: NOW).may_go(photo())


async def test_their_photograph_is_not_taken(here: MemoryServer, there: MemoryServer) -> None:
    there.put(patient())
    there.put(photo())

    await made(here, there).poll()

    assert here.of("Media") == []
    assert [one for one in here.of("Task") if "statusReason" in one] == []
