"""Taking turns, and trying again until it holds or patience ends."""

import asyncio

import pytest

from fhir_server.engine.courtesy import Courtesy
from fhir_server.kernel.errors import ConditionChangedError, StaleVersionError

pytestmark = pytest.mark.anyio


class Counter:
    """A row that is read, thought about and written; a write on top of another one fails."""

    def __init__(self) -> None:
        self.value = self.failures = self.inside = self.most_inside = 0

    async def add(self) -> int:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        seen = self.value
        await asyncio.sleep(0.0005)
        self.inside -= 1
        if self.value != seen:
            self.failures += 1
            raise StaleVersionError("other")
        self.value += 1
        return self.value


@pytest.mark.parametrize("at_once", [True, False])
async def test_many_who_write_the_same_all_get_their_turn(*, at_once: bool) -> None:
    courtesy, row = Courtesy(), Counter()

    written = await asyncio.gather(*(courtesy.insist(["row"], row.add, at_once=at_once) for _ in range(50)))

    assert sorted(written) == list(range(1, 51))
    assert row.failures == (49 if at_once else 0)
    assert row.most_inside == (50 if at_once else 1)


async def test_who_writes_something_else_does_not_wait() -> None:
    courtesy, gate = Courtesy(), asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "slow"

    async def quick() -> str:
        return "quick"

    holding = asyncio.create_task(courtesy.insist(["a", "b"], slow, at_once=False))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(courtesy.insist(["b"], quick, at_once=False))
    assert await courtesy.insist(["c"], quick, at_once=False) == "quick"
    assert await courtesy.insist([], quick, at_once=False) == "quick"
    await asyncio.sleep(0.01)
    assert not waiting.done()

    gate.set()
    assert [await holding, await waiting] == ["slow", "quick"]


async def test_two_who_write_the_same_two_never_wait_for_each_other() -> None:
    courtesy, rows = Courtesy(), Counter()

    async with asyncio.timeout(5):
        await asyncio.gather(*(courtesy.insist(names, rows.add) for names in (["a", "b"], ["b", "a"]) * 10))

    assert rows.value == 20


async def test_what_is_no_overtaking_is_raised_at_once() -> None:
    tries = 0

    async def once() -> None:
        nonlocal tries
        tries += 1
        raise ConditionChangedError("other") if tries == 1 else ValueError("another fault")

    with pytest.raises(ValueError, match="another"):
        await Courtesy().insist(["a"], once)
    assert tries == 2

    tries = 0
    with pytest.raises(ConditionChangedError):
        await Courtesy().insist(["a"], once, again_on=(StaleVersionError,))


async def test_patience_ends_for_who_is_overtaken_and_for_who_waits() -> None:
    courtesy = Courtesy(patience=0.05)

    async def never() -> None:
        await asyncio.sleep(0)
        raise StaleVersionError("other")

    outcomes = await asyncio.gather(
        *(courtesy.insist(["a"], never, at_once=False) for _ in range(5)), return_exceptions=True
    )

    assert {type(each) for each in outcomes} == {StaleVersionError}
    assert courtesy._queues == {}


async def test_who_goes_away_while_waiting_holds_up_nobody() -> None:
    courtesy, gate = Courtesy(), asyncio.Event()

    async def slow() -> None:
        await gate.wait()

    holding = asyncio.create_task(courtesy.insist(["a"], slow, at_once=False))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(courtesy.insist(["a"], slow, at_once=False)) for _ in range(3)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    gate.set()

    await asyncio.gather(holding, *waiting[1:])
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    assert courtesy._queues == {}
