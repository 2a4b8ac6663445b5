"""T32, T38: a server or a database that is killed loses nothing acknowledged, and leaves nothing half written."""

import asyncio
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.killable import Killable, killable
from tests.flows.load import Acknowledged, Client, speaking
from tests.flows.nothing_lost import assert_all_there, assert_whole

pytestmark = pytest.mark.anyio

CLIENTS = 6
LEAST = 50
"""Resources acknowledged: with fewer, a kill would hardly meet a write."""


@pytest.fixture(scope="module")
def place() -> Iterator[Killable]:
    with tempfile.TemporaryDirectory() as folder, killable(Path(folder)) as running:
        yield running


async def a_moment(least: int = 300, most: int = 1200) -> None:
    await asyncio.sleep((least + secrets.randbelow(most - least)) / 1000)


async def under_load(place: Killable, disturb: Callable[[], Awaitable[None]]) -> Acknowledged:
    """What the clients were told while something was done to the server."""
    acknowledged, over = Acknowledged(), asyncio.Event()
    token = await asyncio.to_thread(place.token)
    async with speaking(place.address, token) as http:
        clients = [Client(http, secrets.token_hex(4), acknowledged) for _ in range(CLIENTS)]
        running = asyncio.gather(*(client.run(over) for client in clients))
        await until(acknowledged, lambda: acknowledged.is_of_every_kind)
        await disturb()
        known = len(acknowledged.resources)
        await until(acknowledged, lambda: len(acknowledged.resources) > max(known, LEAST))
        over.set()
        await asyncio.wait_for(running, 60)
    return acknowledged


async def until(acknowledged: Acknowledged, come: Callable[[], bool]) -> None:
    """How long that takes is the machine's affair; that it comes is not."""
    try:
        async with asyncio.timeout(60):
            while not come():  # noqa: ASYNC110  other processes
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"acknowledged: {len(acknowledged.resources)}, failures: {acknowledged.failures}")


async def test_t32_t38_t59_a_server_killed_at_any_moment_loses_nothing_acknowledged(place: Killable) -> None:
    async def kill() -> None:
        for _ in range(2):
            await a_moment()
            await asyncio.to_thread(place.kill_server)
            await asyncio.to_thread(place.start_server)

    acknowledged = await under_load(place, kill)

    assert acknowledged.surprises == []
    await assert_all_there(place, acknowledged)
    await assert_whole(place)


async def test_t32_t38_a_database_killed_at_any_moment_loses_nothing_acknowledged(place: Killable) -> None:
    async def kill() -> None:
        for _ in range(2):
            await a_moment()
            await asyncio.to_thread(place.kill_mongo)
            await a_moment(100, 500)
            await asyncio.to_thread(place.restart_mongo)

    acknowledged = await under_load(place, kill)

    await assert_all_there(place, acknowledged)
    await assert_whole(place)
    assert acknowledged.surprises == []


async def test_t32_t38_both_killed_at_once_lose_nothing_acknowledged(place: Killable) -> None:
    async def kill() -> None:
        await a_moment()
        place.kill_mongo()
        await asyncio.to_thread(place.kill_server)
        await asyncio.to_thread(place.restart_mongo)
        await asyncio.to_thread(place.start_server)

    acknowledged = await under_load(place, kill)

    assert acknowledged.surprises == []
    await assert_all_there(place, acknowledged)
    await assert_whole(place)
