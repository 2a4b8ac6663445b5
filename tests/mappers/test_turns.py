"""Messages about the same take turns in the order of their arrival; others do not wait."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappers.runtime.turns import Turns

pytestmark = pytest.mark.anyio


class Story:
    """Who began and ended, in order; nobody ends before it is told to."""

    def __init__(self) -> None:
        self.turns, self.told = Turns(), list[str]()
        self.may_end: dict[str, asyncio.Event] = {}

    def begin(self, name: str, keys: str) -> "asyncio.Task[None]":
        self.may_end[name] = asyncio.Event()
        return asyncio.create_task(self._take(name, keys))

    async def _take(self, name: str, keys: str) -> None:
        async with self.turns.of(keys):
            self.told.append(f"{name} begins")
            await self.may_end[name].wait()
            self.told.append(f"{name} ends")


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_is_about_the_same_waits_and_who_is_not_does_not() -> None:
    story = Story()
    tasks = [story.begin(name, keys) for name, keys in (("first", "ab"), ("second", "bc"), ("other", "d"))]
    await settled()
    assert story.told == ["first begins", "other begins"]

    for event in story.may_end.values():
        event.set()
    await asyncio.gather(*tasks)

    assert story.told.index("first ends") < story.told.index("second begins")
    assert not story.turns._last


async def test_who_goes_away_while_waiting_lets_nobody_overtake() -> None:
    story = Story()
    first, second, third = (story.begin(name, "a") for name in ("first", "second", "third"))
    await settled()

    second.cancel()
    await settled()
    assert story.told == ["first begins"]
    for event in story.may_end.values():
        event.set()
    await asyncio.gather(first, third)

    assert story.told == ["first begins", "first ends", "third begins", "third ends"]
    assert not story.turns._last


async def test_a_fault_inside_ends_the_turn() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="poison"):
        async with turns.of("a"):
            raise ValueError("poison")

    async with asyncio.timeout(5), turns.of("a"):
        assert turns._last


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[set[str]], list[int]]:
    """About what each is, and in which order they would end if nobody waited."""
    keys = draw(st.lists(st.sets(st.sampled_from("abcd"), min_size=1, max_size=3), max_size=8))
    return keys, draw(st.permutations(range(len(keys))))


@settings(max_examples=60, deadline=None)
@given(crowds())
async def test_two_about_the_same_end_in_the_order_in_which_they_came(crowd: tuple[list[set[str]], list[int]]) -> None:
    keys, ending = crowd
    story = Story()
    tasks = [story.begin(str(place), "".join(sorted(some))) for place, some in enumerate(keys)]
    for place in ending:
        story.may_end[str(place)].set()
        await settled()
    await asyncio.gather(*tasks)

    for place, some in enumerate(keys):
        for later in range(place + 1, len(keys)):
            if some & keys[later]:
                assert story.told.index(f"{place} ends") < story.told.index(f"{later} begins")
