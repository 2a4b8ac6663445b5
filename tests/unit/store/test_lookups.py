"""Reads by id that share a query, on rows in memory that a test can hold up or make fail."""

import asyncio
from typing import Any, cast

import pytest
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect

from fhir_server.kernel.errors import UnavailableError
from fhir_server.store.connection import Document
from fhir_server.store.lookups import Lookups

pytestmark = pytest.mark.anyio


class FakeRows:
    """Answers a query with the rows as they were when it began, once `free` is set."""

    def __init__(self, ids: str) -> None:
        self.rows: dict[str, Document] = {id: {"_id": id, "version": 1} for id in ids}
        self.queries: list[list[str]] = []
        self.begun = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()
        self.fault: Exception | None = None

    async def find_one(self, filter: Document, _: Document) -> Document | None:
        return next(iter(await self._found([filter["_id"]])), None)

    def find(self, filter: Document, _: Document) -> "FakeRows":
        self._asked = filter["_id"]["$in"]
        return self

    async def to_list(self, _: int | None) -> list[Document]:
        return await self._found(self._asked)

    async def _found(self, ids: list[str]) -> list[Document]:
        self.queries.append(ids)
        self.begun.set()
        found = [dict(self.rows[id]) for id in ids if id in self.rows]
        await self.free.wait()
        if self.fault:
            raise self.fault
        return found


def lookups(rows: FakeRows) -> Lookups:
    return Lookups(cast("AsyncCollection[Document]", rows))


def ids_of(found: list[Any]) -> list[str | None]:
    return [one and one["_id"] for one in found]


async def test_reads_that_arrive_together_share_one_query_and_each_gets_its_own() -> None:
    rows = FakeRows("abc")
    reads = lookups(rows)

    found = await asyncio.gather(*(reads.find(id) for id in "abxa"))

    assert ids_of(found) == ["a", "b", None, "a"]
    assert rows.queries == [["a", "b", "x"]]


async def test_a_read_alone_is_one_query() -> None:
    rows = FakeRows("a")

    assert (await lookups(rows).find("a") or {})["_id"] == "a"
    assert rows.queries == [["a"]]


async def test_a_read_that_begins_after_a_write_sees_it_though_an_older_query_is_under_way() -> None:
    rows = FakeRows("a")
    reads = lookups(rows)
    rows.free.clear()
    before = asyncio.create_task(reads.find("a"))
    await rows.begun.wait()

    rows.rows["a"]["version"] = 2
    after = asyncio.create_task(reads.find("a"))
    await asyncio.sleep(0)
    rows.free.set()

    assert [(await one or {})["version"] for one in (before, after)] == [1, 2]


async def test_many_reads_are_spread_over_queries_of_a_hundred() -> None:
    rows = FakeRows("")
    rows.rows = {str(number): {"_id": str(number)} for number in range(250)}
    reads = lookups(rows)

    found = await asyncio.gather(*(reads.find(str(number)) for number in range(250)))

    assert ids_of(found) == list(rows.rows)
    assert [len(query) for query in rows.queries] == [100, 100, 50]


async def test_a_fault_reaches_each_that_waited_and_nobody_later() -> None:
    rows = FakeRows("ab")
    reads = lookups(rows)
    rows.fault = AutoReconnect("gone")

    found = await asyncio.gather(*(reads.find(id) for id in "ab"), return_exceptions=True)

    assert [type(one) for one in found] == [UnavailableError] * 2
    rows.fault = None
    assert (await reads.find("b") or {})["_id"] == "b"


async def test_a_caller_that_goes_away_leaves_the_others_their_answer() -> None:
    rows = FakeRows("a")
    reads = lookups(rows)
    rows.free.clear()
    gone, stays = (asyncio.create_task(reads.find("a")) for _ in range(2))
    await rows.begun.wait()

    gone.cancel()
    rows.free.set()

    assert (await stays or {})["_id"] == "a"
    assert gone.cancelled()
