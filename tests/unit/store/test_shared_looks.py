"""Searches that share a command: each gets its own rows, on rows in memory and on MongoDB."""

import asyncio
from typing import Any, Self, cast

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import ExecutionTimeout

from fhir_server.store import shared_looks
from fhir_server.store.connection import Document
from fhir_server.store.shared_looks import SharedLooks

pytestmark = pytest.mark.anyio

SORT = [("seq", 1)]


class FakeRows:
    """Finds what is asked for as `word`, as it was when the command began, once `free` is set."""

    name = "rows"

    def __init__(self, words: str) -> None:
        self.rows: list[Document] = [{"_id": number, "word": word, "seq": 1} for number, word in enumerate(words)]
        self.commands: list[list[str]] = []
        self.begun, self.free = asyncio.Event(), asyncio.Event()
        self.free.set()
        self.slow = self.held = frozenset[str]()

    async def aggregate(self, pipeline: list[Any], **_: Any) -> "Cursor":
        looks = [pipeline[:5], *(union["$unionWith"]["pipeline"] for union in pipeline[5:])]
        found = await self.found([stages[0]["$match"]["word"] for stages in looks])
        marks = {stages[0]["$match"]["word"]: stages[-1]["$set"] for stages in looks}
        return Cursor([row | marks[row["word"]] for row in found])

    def find(self, filter: Document, *_: object, **__: object) -> "Cursor":
        return Cursor(asked=(self, filter["word"]))

    async def found(self, words: list[str]) -> list[Document]:
        self.commands.append(words)
        self.begun.set()
        found = [dict(row) for row in self.rows if row["word"] in words]
        if not self.held or self.held & set(words):
            await self.free.wait()
        if self.slow & set(words):
            raise ExecutionTimeout("operation exceeded time limit")
        return found


class Cursor:
    def __init__(self, rows: list[Document] | None = None, asked: tuple[FakeRows, str] | None = None) -> None:
        self._rows, self._asked = rows, asked

    def sort(self, _: object) -> Self:
        return self

    limit = max_time_ms = sort

    async def to_list(self, _: None) -> list[Document]:
        if self._asked:
            return await self._asked[0].found([self._asked[1]])
        return self._rows or []


def looking(rows: FakeRows, words: str) -> "asyncio.Future[list[Any]]":
    looks = SharedLooks(cast("AsyncCollection[Document]", rows), {})
    asked = (looks.first({"word": word}, SORT, "word", 5) for word in words)
    return asyncio.gather(*asked, return_exceptions=True)


async def test_looks_that_arrive_together_share_a_command_and_each_gets_its_own_rows() -> None:
    rows = FakeRows("aba")

    a, b, x = await looking(rows, "abx")

    assert ([row["_id"] for row in a], [row["_id"] for row in b], x) == ([0, 2], [1], [])
    assert rows.commands == [["a", "b", "x"]]
    assert "look" not in a[0]


async def test_a_look_alone_is_a_find() -> None:
    rows = FakeRows("a")

    assert [len(found) for found in await looking(rows, "a")] == [1]
    assert rows.commands == [["a"]]


async def test_a_look_that_begins_after_a_write_sees_it_though_an_older_command_is_under_way() -> None:
    rows = FakeRows("a")
    looks = SharedLooks(cast("AsyncCollection[Document]", rows), {})
    rows.free.clear()
    before = asyncio.create_task(looks.first({"word": "a"}, SORT, "word", 5))
    await rows.begun.wait()

    rows.rows.append({"_id": 1, "word": "a", "seq": 2})
    after = asyncio.create_task(looks.first({"word": "a"}, SORT, "word", 5))
    await asyncio.sleep(0)
    rows.free.set()

    assert [len(await one) for one in (before, after)] == [1, 2]


async def test_not_more_than_eight_share_so_that_the_first_are_opened_while_the_next_are_looked_for() -> None:
    rows = FakeRows("abcdefghijklmnopqrst")

    found = await looking(rows, "abcdefghijklmnopqrst")

    assert [len(each) for each in found] == [1] * 20
    assert [len(command) for command in rows.commands] == [8, 8, 4]


async def test_one_that_takes_too_long_fails_alone() -> None:
    rows = FakeRows("abc")
    rows.slow = frozenset("b")

    a, b, c = await looking(rows, "abc")

    assert (len(a), type(b), len(c)) == (1, ExecutionTimeout, 1)
    assert rows.commands == [["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_nobody_waits_long_for_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_looks, "_PATIENCE", 0.001)
    rows = FakeRows("ab")
    looks = SharedLooks(cast("AsyncCollection[Document]", rows), {})
    rows.held = frozenset("a")
    rows.free.clear()
    held = asyncio.create_task(looks.first({"word": "a"}, SORT, "word", 5))
    await rows.begun.wait()

    assert len(await looks.first({"word": "b"}, SORT, "word", 5)) == 1
    assert not held.done()
    rows.free.set()
    assert len(await held) == 1


async def test_a_caller_that_goes_away_leaves_the_others_their_answer() -> None:
    rows = FakeRows("ab")
    looks = SharedLooks(cast("AsyncCollection[Document]", rows), {})
    rows.free.clear()
    gone, stays = (asyncio.create_task(looks.first({"word": word}, SORT, "word", 5)) for word in "ab")
    await rows.begun.wait()

    gone.cancel()
    rows.free.set()

    assert [row["_id"] for row in await stays] == [1]
    assert gone.cancelled()


async def test_in_mongodb_each_look_has_its_own_order_and_bound(mongo_uri: str, database_name: str) -> None:
    async with AsyncMongoClient[Document](mongo_uri) as client:
        rows = client[database_name]["rows"]
        await rows.create_index([("tokens", 1), ("seq", 1)], name="tokens_seq")
        # More than the 101 rows that a first batch has by itself.
        await rows.insert_many([{"tokens": [seq % 3], "seq": seq, "layout": 1} for seq in range(300)])
        looks = SharedLooks(rows, {"layout": False, "_id": False})

        found = await asyncio.gather(
            looks.first({"tokens": 0}, [("seq", 1)], "tokens_seq", 100),
            looks.first({"tokens": 1}, [("seq", -1)], "tokens_seq", 2),
            looks.first({"tokens": {"$in": [1, 2]}}, [("seq", 1)], "tokens_seq", 3),
            looks.first({"tokens": 7}, [("seq", 1)], "tokens_seq", 3),
            looks.first({"tokens": 1}, [("seq", -1)], "tokens_seq", 2),
        )

    assert [sorted(row["seq"] for row in its) for its in found] == [
        list(range(0, 300, 3)),
        [295, 298],
        [1, 2, 4],
        [],
        [295, 298],
    ]
    assert found[1][0].keys() == {"tokens", "seq"}
