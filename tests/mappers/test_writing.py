"""Transactions of several messages in one request, with a server that is played: each stays right by itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mappers.mapping.json_text import Json
from mappers.runtime.faults import NotNowError, OvertakenError, RejectedError
from mappers.runtime.writing import Writing

pytestmark = pytest.mark.anyio


@dataclass
class Played:
    """Takes a transaction as a whole, once it is let; `refuses`: what one that holds a name ends in."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    refuses: dict[str, Exception] = field(default_factory=dict)
    tried: list[list[str]] = field(default_factory=list)
    alone: list[list[str]] = field(default_factory=list)
    there: list[str] = field(default_factory=list)

    def writing(self) -> Writing:
        return Writing(self.once, self.patiently)

    async def once(self, entries: Sequence[Json]) -> None:
        self.tried.append([one["request"]["url"] for one in entries])
        await self._taken(entries)

    async def patiently(self, entries: Sequence[Json]) -> None:
        self.alone.append([one["request"]["url"] for one in entries])
        await self._taken(entries)

    async def _taken(self, entries: Sequence[Json]) -> None:
        await self.open.wait()
        urls = [one["request"]["url"] for one in entries]
        for url in urls:
            if url in self.refuses:
                raise self.refuses[url]
        self.there += urls


def put(name: str, **more: Any) -> Json:
    return {"resource": {}, "request": {"method": "PUT", "url": name}, **more}


def post(type: str, unless: str | None = None, **more: Any) -> Json:
    condition = {"ifNoneExist": unless} if unless else {}
    return {"resource": {}, "request": {"method": "POST", "url": type, **condition}, **more}


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def begun(writing: Writing, *given: Sequence[Json]) -> list["asyncio.Task[None]"]:
    tasks = [asyncio.create_task(writing.of(entries)) for entries in given]
    await settled()
    return tasks


async def test_what_is_ready_at_once_is_one_transaction_and_nobody_is_answered_before_it() -> None:
    played = Played()
    tasks = await begun(played.writing(), [put("a/1"), put("a/2")], [put("b/1")], [put("c/1")])
    assert not any(task.done() for task in tasks)

    played.open.set()
    await asyncio.gather(*tasks)

    assert played.tried == [["a/1", "a/2", "b/1", "c/1"]]


async def test_while_some_are_under_way_the_next_gather() -> None:
    played = Played()
    writing = played.writing()
    tasks = []
    for place in range(7):
        tasks += await begun(writing, [put(f"x/{place}")])
    played.open.set()

    await asyncio.gather(*tasks)

    assert played.tried == [["x/0"], ["x/1", "x/2", "x/3", "x/4", "x/5", "x/6"]]


async def test_one_that_hangs_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mappers.runtime.writing._LONGEST", 0.0)
    hanging = Played()
    writing = hanging.writing()
    tasks = await begun(writing, [put("x/0")])
    tasks += await begun(writing, [put("x/1")])

    assert hanging.tried == [["x/0"], ["x/1"]]
    hanging.open.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    "fault",
    [RejectedError(422, "invalid"), OvertakenError(), NotNowError("broken"), ValueError("a fault of ours")],
    ids=["refused", "overtaken", "the server breaks on it", "unexpected"],
)
async def test_a_message_that_fails_fails_alone(fault: Exception) -> None:
    played = Played(refuses={"poison/1": fault})
    played.open.set()

    good, bad, other = await asyncio.gather(
        *await begun(played.writing(), [put("a/1")], [put("poison/1")], [put("b/1")]), return_exceptions=True
    )

    assert (good, bad, other) == (None, fault, None)
    assert sorted(played.there) == ["a/1", "b/1"]


async def test_what_a_message_that_was_alone_ends_in_is_not_tried_again() -> None:
    fault = OvertakenError()
    played = Played(refuses={"a/1": fault})
    played.open.set()

    [found] = await asyncio.gather(*await begun(played.writing(), [put("a/1")]), return_exceptions=True)

    assert found is fault
    assert (len(played.tried), len(played.alone)) == (1, 0)


async def test_what_cannot_be_taken_now_is_tried_patiently_and_holds_up_nobody() -> None:
    played = Played(refuses={"a/1": NotNowError("down")})
    played.open.set()
    writing = played.writing()

    [found] = await asyncio.gather(*await begun(writing, [put("a/1")]), return_exceptions=True)
    await writing.of([put("b/1")])

    assert isinstance(found, NotNowError)
    assert (played.alone, played.there) == ([["a/1"]], ["b/1"])


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (put("Patient/1"), put("Patient/1"), False),
        (post("Schedule", "identifier=1"), post("Schedule", "identifier=1"), False),
        (post("Patient", fullUrl="urn:uuid:1"), post("Patient", fullUrl="urn:uuid:1"), False),
        (post("Schedule", "identifier=1"), post("Schedule", "identifier=2"), True),
        (post("Patient", fullUrl="urn:uuid:1"), post("Patient", fullUrl="urn:uuid:2"), True),
        (post("Appointment"), post("Appointment"), True),
    ],
)
async def test_two_that_write_the_same_are_not_one_transaction(one: Json, other: Json, *, together: bool) -> None:
    played = Played()
    tasks = await begun(played.writing(), [one], [other], [put("last/1")])
    played.open.set()

    await asyncio.gather(*tasks)

    assert len(played.tried) == (1 if together else 2)
    assert played.tried[-1][-1] == "last/1"  # nobody overtakes


async def test_a_transaction_is_no_larger_than_the_server_commits_with_others() -> None:
    played = Played()
    writing = played.writing()
    large = [put(f"l/{place}") for place in range(200)]
    tasks = await begun(writing, large)
    tasks += await begun(writing, [put("x/0")])
    tasks += await begun(writing, *([put(f"x/{place}-{part}") for part in range(5)] for place in range(1, 40)))
    played.open.set()

    await asyncio.gather(*tasks)

    assert [len(urls) for urls in played.tried] == [200, 76, 80, 40]


async def test_who_went_away_before_writes_nothing() -> None:
    played = Played()
    writing = played.writing()
    [first] = await begun(writing, [put("x/0")])
    [late, gone] = await begun(writing, [put("late/1")], [put("gone/1")])
    gone.cancel()
    first.cancel()
    await settled()
    played.open.set()

    await late

    assert played.there == ["x/0", "late/1"]
