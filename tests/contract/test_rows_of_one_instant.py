"""Rows that several processes wrote at one instant share their seq; the index knows no order among them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from fhir_server.crypto.providers.file import FileProvider
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.search.parse import parse
from fhir_server.store.clinic import ClinicStore
from tests.contract.clinics import patient, store_on, writing
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

ROUNDS = 17


@pytest.fixture
async def three(mongo_uri: str, database_name: str, tmp_path: Path) -> AsyncIterator[list[ClinicStore]]:
    """As three processes on one database, by clocks that stand still at the same instant."""
    FileProvider.create(tmp_path / "keys" / "root.json")
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(store_on(mongo_uri, database_name, tmp_path, FakeClock())) for _ in range(3)
        ]


async def walked(store: ResourceStore, sort: str, size: int) -> list[str]:
    """The ids of all pages."""
    query = parse("Patient", [("family", "Chalmers"), ("_sort", sort)])
    found: list[str] = []
    after: Position | None = None
    for _ in range(3 * ROUNDS + 1):
        page = await store.find(query, after, size)
        found += [one.key.id for one in page.matches]
        after = page.position
        if after is None:
            return found
    raise AssertionError("the search never ends")


@pytest.mark.parametrize("size", [1, 19, 20, 21, 22, 1000])
async def test_pages_neither_repeat_nor_leave_out_rows_of_one_seq(three: list[ClinicStore], size: int) -> None:
    names = {}
    for number in range(ROUNDS):
        for which, store in enumerate(three):
            # Written in one order, named in the other.
            id = f"p{number:02}-{'cab'[which]}"
            [stored] = await store.resources.commit([writing(patient(id))])
            names[stored.seq, f"Patient/{id}"] = id
    expected = [names[place] for place in sorted(names)]

    assert len({seq for seq, _ in names}) == ROUNDS
    assert await walked(three[0].resources, "_lastUpdated", size) == expected
    assert await walked(three[0].resources, "-_lastUpdated", size) == expected[::-1]
