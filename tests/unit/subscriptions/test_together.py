"""One look for all who ask at the same time, and never one that began before the question."""

import asyncio

import pytest

from fhir_server.subscriptions.together import Together

pytestmark = pytest.mark.anyio


class Gate:
    """Looks wait to be let through; each sees the number of those before it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun = 0

    async def look(self) -> int:
        self.begun += 1
        mine = self.begun
        await self.open.wait()
        if mine == 2:
            raise ConnectionError
        return mine


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_while_a_look_is_under_way_shares_the_next() -> None:
    gate = Gate()
    together = Together(gate.look)
    first = asyncio.create_task(together.now())
    await settled()

    others = [asyncio.create_task(together.now()) for _ in range(3)]
    await settled()
    assert gate.begun == 1
    gate.open.set()

    assert await first == 1
    assert [type(one) for one in await asyncio.gather(*others, return_exceptions=True)] == [ConnectionError] * 3
    assert gate.begun == 2
    assert await together.now() == 3


async def test_who_goes_away_does_not_take_the_others_answer_along() -> None:
    gate = Gate()
    together = Together(gate.look)
    gone, stays = asyncio.create_task(together.now()), asyncio.create_task(together.now())
    await settled()

    gone.cancel()
    gate.open.set()

    assert await stays == 1
