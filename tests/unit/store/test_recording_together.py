"""Events of reads share one insert where their callers keep coming, and nobody waits for somebody who does not come."""

import asyncio
import gc
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from fhir_server.kernel.errors import UnavailableError
from fhir_server.store import audit_log
from fhir_server.store.audit_log import AuditRows
from tests.contract.clinics import Noted

pytestmark = pytest.mark.anyio


class Rows:
    """The collection of the log; an insert takes a few turns of the loop."""

    def __init__(self) -> None:
        self.inserts: list[int] = []
        self.is_away = False

    async def insert_many(self, documents: Sequence[object], *, ordered: bool) -> None:
        assert ordered
        if self.is_away:
            raise AutoReconnect
        for _ in range(20):
            await asyncio.sleep(0)
        self.inserts.append(len(documents))


class Writer:
    async def documents(self, entries: Sequence[object], seq: int) -> list[object]:
        return list(entries)

    def now(self) -> int:
        return 0

    def settle(self, count: int) -> None:
        """Numbers are of no account here."""

    async def lease(self) -> None:
        """Nor is under which id they are given."""

    async def end(self) -> None:
        """Nor is who wrote."""


class Grants:
    async def ended(self, ids: Collection[str]) -> Mapping[str, str]:
        return {}


@asynccontextmanager
async def started() -> AsyncIterator[tuple[AuditRows, Rows]]:
    rows = Rows()
    parts: tuple[Any, ...] = (SimpleNamespace(audit=rows), object(), Grants(), Writer())
    log = AuditRows(*parts)
    await log.start()
    try:
        yield log, rows
    finally:
        await asyncio.wait_for(log.stop(), 30)


async def test_callers_who_keep_coming_share_one_insert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "_LINGER", 0.5)

    async def caller(number: int) -> None:
        for _ in range(10):
            for _ in range(number):
                await asyncio.sleep(0)
            await log.append([Noted("read")])

    async with started() as (log, rows):
        await asyncio.wait_for(asyncio.gather(*(caller(number) for number in range(4))), 30)

    assert sum(rows.inserts) == 40
    assert sorted(rows.inserts)[-9:] == [4] * 9


async def test_a_caller_alone_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "_LINGER", 1000)

    async with started() as (log, rows):
        for _ in range(3):
            await asyncio.wait_for(log.append([Noted("read")]), 30)

    assert rows.inserts == [1, 1, 1]


async def test_who_is_waited_for_in_vain_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "_LINGER", 0.001)

    async with started() as (log, rows):
        await asyncio.gather(*(log.append([Noted("read")]) for _ in range(3)))
        await asyncio.wait_for(log.append([Noted("the last one")]), 30)

    assert rows.inserts == [3, 1]


async def test_who_is_waited_for_in_vain_is_not_waited_for_when_the_server_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_log, "_LINGER", 1000)

    async with started() as (log, rows):
        await asyncio.gather(*(log.append([Noted("read")]) for _ in range(3)))
        last = asyncio.create_task(log.append([Noted("the last one")]))
        await asyncio.sleep(0)

    await asyncio.wait_for(last, 30)
    assert rows.inserts == [3, 1]


async def test_who_goes_away_is_recorded_all_the_same() -> None:
    async with started() as (log, rows):
        gone = asyncio.create_task(log.append([Noted("gone")]))
        stays = asyncio.create_task(log.append([Noted("stays")]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait_for(stays, 30)

    assert gone.cancelled()
    assert rows.inserts == [2]


async def test_who_went_away_is_told_of_no_fault_and_the_others_are() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))

    async with started() as (log, rows):
        rows.is_away = True
        gone = asyncio.create_task(log.append([Noted("gone")]))
        stays = asyncio.create_task(log.append([Noted("stays")]))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(stays, 30)
        rows.is_away = False
        await asyncio.wait_for(log.append([Noted("later")]), 30)

    gc.collect()
    assert gone.cancelled()
    assert not complaints
    assert rows.inserts == [1]
