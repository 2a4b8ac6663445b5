"""Two processes on one database: what each acknowledged stays, and neither sees half of the other's work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from fhir_server.crypto.providers.file import FileProvider
from fhir_server.engine.change import ConsentBasis, HeadMove
from fhir_server.engine.ports import Head
from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.errors import FhirError, StaleBasisError, VersionConflictError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.parse import parse
from fhir_server.store.clinic import ClinicStore
from tests.contract.clinics import Noted, observation, opened_events, patient, store_on, writing
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

ANN = ResourceKey("Patient", "ann")


@pytest.fixture
async def two(mongo_uri: str, database_name: str, tmp_path: Path) -> AsyncIterator[list[ClinicStore]]:
    """Both start at once on a database that nobody prepared, by clocks that stand still at the same instant."""
    FileProvider.create(tmp_path / "keys" / "root.json")
    async with AsyncExitStack() as stack:
        opening = (store_on(mongo_uri, database_name, tmp_path, FakeClock()) for _ in range(2))
        yield list(await asyncio.gather(*(stack.enter_async_context(each) for each in opening)))


async def count_up(store: ClinicStore, times: int) -> None:
    """Read, add one, write; begin again where somebody else was faster."""
    for _ in range(times):
        while True:
            current = await store.resources.read(ANN)
            counted = current.resource["multipleBirthInteger"] + 1 if current else 1
            try:
                await store.resources.commit([writing({**patient("ann"), "multipleBirthInteger": counted}, current)])
                break
            except VersionConflictError:
                await asyncio.sleep(0)


async def test_no_update_of_one_resource_is_lost(two: list[ClinicStore]) -> None:
    await asyncio.gather(*(count_up(store, 4) for store in (*two, *two)))

    current = await two[0].resources.read(ANN)
    assert current is not None
    assert (current.version, current.resource["multipleBirthInteger"]) == (16, 16)
    history = [await two[1].resources.read_version(ANN, number) for number in range(1, 17)]
    assert [one.resource["multipleBirthInteger"] for one in history if one] == list(range(1, 17))


async def test_a_patient_first_named_by_both_at_once_has_one_head_and_one_key(
    two: list[ClinicStore], mongo_uri: str, database_name: str
) -> None:
    for number in range(5):
        of = f"p{number}"
        changes = [writing(observation(f"{of}-{index}", of)).recording(Noted(of)) for index in range(8)]
        await asyncio.gather(*(two[index % 2].resources.commit([change]) for index, change in enumerate(changes)))

        assert await two[0].heads.heads([of]) == await two[1].heads.heads([of]) == {of: Head(of, 1, {})}
        for store in two:
            found = await store.resources.read_many([change.key for change in changes])
            assert len(found) == 8
            assert len({one.raw["key"] for one in found.values()}) == 1

    events = await opened_events(mongo_uri, database_name, two[0])
    assert len(events) == 40
    for writer in {writer for writer, _ in events}:
        numbers = sorted(number for lane, number in events if lane == writer)
        assert numbers == list(range(1, len(numbers) + 1))


async def test_a_use_in_one_process_and_a_withdrawal_in_the_other_never_both_hold(two: list[ClinicStore]) -> None:
    consent = ResourceKey("Consent", "c1")
    for number in range(6):
        of = f"p{number}"
        given = HeadMove(of, consent, 1, in_force=True)
        await two[0].resources.commit([writing(observation(f"{of}-given", of)).moving_head(given)])
        basis = ConsentBasis(consent, 1, of, 2)
        use = writing(observation(f"{of}-use", of)).relying_on(basis)
        withdrawal = writing(observation(f"{of}-w", of)).moving_head(HeadMove(of, consent, 2, in_force=False))

        used, _ = await asyncio.gather(
            two[0].resources.commit([use]), two[1].resources.commit([withdrawal]), return_exceptions=True
        )

        assert isinstance(used, tuple | StaleBasisError)
        assert await two[0].heads.heads([of]) == {of: Head(of, 3, {})}
        with pytest.raises(StaleBasisError):
            await two[0].resources.commit([writing(observation(f"{of}-late", of)).relying_on(basis)])
        with pytest.raises(StaleBasisError):
            await two[1].audit.append([Noted("shown", (basis,))])


async def test_rows_of_the_same_instant_from_two_processes_are_paged_each_once(two: list[ClinicStore]) -> None:
    for number in range(24):
        await two[number % 2].resources.commit([writing(patient(f"p{number * 7 % 24:02d}"))])
    query = parse("Patient", [("family", "Chalmers")])
    seqs = {stored.seq for stored in (await two[0].resources.find(query, None, 100)).matches}
    assert len(seqs) == 12, "the test needs rows of equal seq"

    for size in (1, 3, 24):
        for order in ("_lastUpdated", "-_lastUpdated"):
            query = parse("Patient", [("family", "Chalmers"), ("_sort", order)])
            seen, position = [], None
            for _ in range(50):
                page = await two[0].resources.find(query, position, size)
                seen += [stored.key.id for stored in page.matches]
                position = page.position
                if position is None:
                    break
            assert sorted(seen) == [f"p{number:02d}" for number in range(24)]


async def test_both_may_come_at_once_with_a_bundle_over_the_same_rows(two: list[ClinicStore]) -> None:
    bundles = [[writing(patient(f"p{number}", family)) for number in range(10)] for family in ("One", "Two")]

    outcomes = await asyncio.gather(
        *(store.resources.commit(bundle) for store, bundle in zip(two, bundles, strict=True)), return_exceptions=True
    )

    assert sorted(isinstance(one, FhirError) for one in outcomes) == [False, True]
    found = await two[0].resources.read_many([ResourceKey("Patient", f"p{number}") for number in range(10)])
    assert len({stored.resource["name"][0]["family"] for stored in found.values()}) == 1
    assert len(found) == 10


async def test_a_second_start_finds_everything(mongo_uri: str, database_name: str, tmp_path: Path) -> None:
    async with store_on(mongo_uri, database_name, tmp_path, SystemClock()) as store:
        await store.resources.commit([writing(patient("ann"))])
    async with store_on(mongo_uri, database_name, tmp_path, SystemClock()) as store:
        read = await store.resources.read(ANN)
        found = await store.resources.find(parse("Patient", [("family", "Chalmers")]), None, 5)

    assert read is not None
    assert found.matches == (read,)
