"""What every ResourceStore promises about `versions` and about a condition at its commit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fhir_server.crypto.providers.file import FileProvider
from fhir_server.engine.change import Condition
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.kernel.clock import microseconds
from fhir_server.kernel.errors import ConditionChangedError, FhirError
from fhir_server.search.parse import parse
from fhir_server.store.clinic import ClinicStore
from tests.contract.clinics import Opened, deleting, observation, patient, put, store_on, writing
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

ALWAYS = Window()
BOTH = frozenset({"Patient", "Observation"})
QUERY = parse("Patient", [("family", "Chalmers")])
NOTHING = Condition(QUERY, frozenset())


@pytest.fixture
async def three(mongo_uri: str, database_name: str, tmp_path: Path) -> AsyncIterator[list[ClinicStore]]:
    """As three processes on one database, by clocks that stand still at the same instant."""
    FileProvider.create(tmp_path / "keys" / "root.json")
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(store_on(mongo_uri, database_name, tmp_path, FakeClock())) for _ in range(3)
        ]


async def all_pages(store: ResourceStore, size: int, id: str | None = None) -> list[str]:
    found: list[str] = []
    before: Position | None = None
    for _ in range(100):
        page = await store.versions({"Patient"} if id else BOTH, id, ALWAYS, before, size)
        found += told(page)
        if len(page) < size:
            return found
        before = Position(page[-1].seq, f"{page[-1].key}/{page[-1].version}")
    raise AssertionError("the history never ends")


def told(stored: Sequence[Stored]) -> list[str]:
    return [f"{one.key.id}/{one.version}" + ("-" if one.deleted else "") for one in stored]


async def test_r_fhir_018_versions_come_newest_first_with_their_deletions(clinic: Opened) -> None:
    await put(clinic, patient("ann"), patient("ben"), observation("o1", "ann"), patient("ann", "Windsor"))
    gone = (await clinic.resources.versions({"Patient"}, "ben", ALWAYS, None, 5))[0]
    await clinic.resources.commit([deleting(gone)])
    store = clinic.resources

    assert told(await store.versions(BOTH, None, ALWAYS, None, 9)) == ["ben/2-", "ann/2", "o1/1", "ben/1", "ann/1"]
    assert told(await store.versions({"Observation"}, None, ALWAYS, None, 9)) == ["o1/1"]
    assert told(await store.versions({"Patient"}, "ann", ALWAYS, None, 9)) == ["ann/2", "ann/1"]
    assert await store.versions({"Patient"}, "nobody", ALWAYS, None, 9) == []


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_r_fhir_018_pages_of_any_size_are_the_whole(clinic: Opened, size: int) -> None:
    for family in ("One", "Two", "Three"):
        await put(clinic, patient("ann", family), patient("a-b", family))

    assert await all_pages(clinic.resources, size) == ["a-b/3", "ann/3", "a-b/2", "ann/2", "a-b/1", "ann/1"]
    assert await all_pages(clinic.resources, size, "ann") == ["ann/3", "ann/2", "ann/1"]


async def test_r_fhir_018_a_window_opens_and_closes(clinic: Opened) -> None:
    instants = []
    for family in ("One", "Two", "Three"):
        await put(clinic, patient("ann", family))
        instants.append(microseconds(clinic.clock.now()))
        clinic.clock.advance(timedelta(seconds=1))
    store = clinic.resources

    for number, instant in enumerate(instants):
        since = await store.versions({"Patient"}, "ann", Window(since=instant), None, 9)
        assert told(since) == ["ann/3", "ann/2", "ann/1"][: 3 - number]
        # Half a second later it was still current.
        at = (instant + 500_000, instant + 500_001)
        assert told(await store.versions({"Patient"}, "ann", Window(at=at), None, 9)) == [f"ann/{number + 1}"]


async def test_r_fhir_018_versions_of_the_same_instant_are_paged_each_once(three: list[ClinicStore]) -> None:
    for id in ("a", "a-b", "a.c", "d", "e", "f"):
        for store in three:
            await store.resources.commit([writing(patient(f"{id}{three.index(store)}"))])
            await store.resources.commit([writing(patient(f"{id}-{three.index(store)}"))])
    whole = await all_pages(three[0].resources, 50)
    assert len(whole) == len(set(whole)) == 36

    for size in (1, 2, 3, 5):
        assert await all_pages(three[1].resources, size) == whole


async def test_r_fhir_010_a_condition_that_holds_no_more_writes_nothing(clinic: Opened) -> None:
    await clinic.resources.commit([writing(patient("ann")).on_condition(NOTHING)])

    with pytest.raises(ConditionChangedError):
        await clinic.resources.commit([writing(patient("ben")).on_condition(NOTHING), writing(patient("cem", "X"))])

    assert told(await clinic.resources.versions({"Patient"}, None, ALWAYS, None, 9)) == ["ann/1"]


async def test_r_fhir_010_more_candidates_than_can_be_opened_are_refused_and_not_guessed(clinic: Opened) -> None:
    women = [writing({**patient(f"p{number:03d}"), "gender": "female"}) for number in range(210)]
    for first in range(0, 210, 70):
        await clinic.resources.commit(women[first : first + 70])
    await put(clinic, patient("unsaid"))
    nobody = replace(NOTHING, query=parse("Patient", [("gender:missing", "true")]))

    with pytest.raises(FhirError):
        await clinic.resources.commit([writing(patient("late")).on_condition(nobody)])


async def test_r_fhir_010_fifty_at_one_instant_from_three_processes_store_one(three: list[ClinicStore]) -> None:
    changes = [writing(patient(f"p{number}")).on_condition(NOTHING) for number in range(50)]

    outcomes = await asyncio.gather(
        *(three[place % 3].resources.commit([change]) for place, change in enumerate(changes)), return_exceptions=True
    )

    assert sum(isinstance(one, tuple) for one in outcomes) == 1
    assert all(isinstance(one, tuple | FhirError) for one in outcomes)
    assert len((await three[0].resources.find(QUERY, None, 50)).matches) == 1
