"""Transactions of several messages in one request: while some are under way, who comes shares the next.

https://hl7.org/fhir/R4/http.html#transaction: a Bundle is done as a whole or not at all. Of a message nothing is known
from a failure that it shared, so each of them is written again by itself: what is wrong with one is nobody else's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from mappers.mapping.json_text import Json
from mappers.runtime.faults import OvertakenError, RejectedError

_MOST_MESSAGES = 16
_MOST_ENTRIES = 80
"""The server commits up to 100 entries of one request together with those of others."""

_LONGEST = 1.0
"""Seconds after which the next do not wait any longer for those that are under way."""

Write = Callable[[Sequence[Json]], Awaitable[None]]
"""All of it or nothing."""


@dataclass(slots=True)
class _Ready:
    entries: Sequence[Json]
    names: frozenset[str]
    done: "asyncio.Future[None]"


@dataclass(slots=True)
class Writing:
    """`once`: one attempt. `patiently`: what fails for a moment is tried again."""

    once: Write
    patiently: Write
    _waiting: list[_Ready] = field(default_factory=list, init=False, repr=False)
    _running: bool = field(default=False, init=False)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set, init=False, repr=False)

    async def of(self, entries: Sequence[Json]) -> None:
        """Committed when it returns. What it raises is of these entries alone."""
        ready = _Ready(entries, _names(entries), asyncio.get_running_loop().create_future())
        self._waiting.append(ready)
        if not self._running:
            self._running = True
            self._begin(self._run())
        await ready.done

    async def _run(self) -> None:
        while taken := self._taken():
            await asyncio.wait([self._begin(self._tried(taken))], timeout=_LONGEST)
        self._running = False

    async def _tried(self, taken: Sequence[_Ready]) -> None:
        fault: Exception | None = None
        try:
            await self.once([entry for one in taken for entry in one.entries])
        except Exception as error:  # noqa: BLE001  whosever it is, each finds out by itself
            fault = error
        is_answer = fault is None or (len(taken) == 1 and isinstance(fault, OvertakenError | RejectedError))
        for one in taken:
            if is_answer:
                _tell(one, fault)
            else:
                self._begin(self._alone(one))

    async def _alone(self, one: _Ready) -> None:
        try:
            await self.patiently(one.entries)
        except Exception as error:  # noqa: BLE001  it is told
            _tell(one, error)
        else:
            _tell(one, None)

    def _taken(self) -> list[_Ready]:
        """Whoever went away meanwhile writes no more. What bears a name that is taken waits for the next time."""
        taken: list[_Ready] = []
        left: list[_Ready] = []
        names: set[str] = set()
        size = 0
        for one in self._waiting:
            if one.done.done():
                continue
            fits = len(taken) < _MOST_MESSAGES and size + len(one.entries) <= _MOST_ENTRIES
            if taken and (left or not fits or names & one.names):
                left.append(one)
                continue
            taken.append(one)
            names |= one.names
            size += len(one.entries)
        self._waiting = left
        return taken

    def _begin(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)
        return task


def _names(entries: Sequence[Json]) -> frozenset[str]:
    """Which two of one transaction may not have in common: what they write, make if it is not there, and call it."""
    found: set[str] = set()
    for entry in entries:
        request = entry["request"]
        if "fullUrl" in entry:
            found.add(entry["fullUrl"])
        if request["method"] != "POST":
            found.add(request["url"])
        elif "ifNoneExist" in request:
            found.add(f"{request['url']}?{request['ifNoneExist']}")
    return frozenset(found)


def _tell(one: _Ready, error: Exception | None) -> None:
    if one.done.done():
        return
    if error is None:
        one.done.set_result(None)
    else:
        one.done.set_exception(error)
