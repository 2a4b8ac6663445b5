"""What is decided on together, and for how long that holds."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from fhir_server.kernel.identity import ResourceKey
from fhir_server.subscriptions.ports import Event, Notice, Progress
from fhir_server.subscriptions.subscriber import Subscriber
from fhir_server.subscriptions.telling import Telling
from tests.fakes.clock import NOW

pytestmark = pytest.mark.anyio

EVENTS = 30


class Outside:
    """Rows, a way out and a clock: each sending takes `takes`; those in `down` are not answered."""

    def __init__(self, takes: float = 0, down: Sequence[int] = ()) -> None:
        self.instant, self.takes, self.down = NOW, timedelta(seconds=takes), set(down)
        self.sent: list[int] = []
        self.saved: list[int] = []

    def now(self) -> datetime:
        return self.instant

    def may(self, url: str) -> bool:
        return bool(url)

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Callable[[Notice], Awaitable[bool]]]:
        yield self.send

    async def send(self, notice: Notice) -> bool:
        number = int(notice.url)
        self.instant += self.takes
        if number in self.down:
            return False
        self.sent.append(number)
        return True

    async def events(self, id: str, after: int, limit: int) -> Sequence[Event]:
        numbers = range(after + 1, min(after + limit, EVENTS) + 1)
        return [Event(one, ResourceKey("Appointment", str(one)), 1, NOW) for one in numbers]

    async def save(self, id: str, progress: Progress) -> None:
        self.saved.append(progress.told)


class Deciding(Telling):
    """Every event may be told but those in `hidden`; what was decided on, and when."""

    def __init__(self, outside: Outside, hidden: Sequence[int] = ()) -> None:
        rest: Any = outside
        super().__init__(cast("Any", None), rest, rest, rest, lambda: 0.0)
        self.outside, self.hidden = outside, hidden
        self.decided: list[tuple[int, datetime]] = []

    async def _notice(self, one: Subscriber, event: Event) -> Notice | None:
        self.decided.append((event.number, self.outside.now()))
        return None if event.number in self.hidden else Notice("POST", str(event.number))


def subscriber(failures: int = 0) -> Subscriber:
    nothing: Any = None
    return Subscriber("1", 1, "active", nothing, nothing, nothing, Progress(0, 0, 0, failures))


async def always(one: Subscriber) -> bool:
    return True


async def test_all_are_told_in_their_order_and_what_may_not_be_seen_is_passed_over() -> None:
    outside, one = Outside(), subscriber()

    await Deciding(outside, hidden=[2, 26]).tell(one, always)

    assert outside.sent == [number for number in range(1, EVENTS + 1) if number not in {2, 26}]
    assert outside.saved == [25, EVENTS]


async def test_m18_what_was_decided_over_a_second_ago_is_decided_again_before_it_is_sent() -> None:
    outside, one = Outside(takes=0.4), subscriber()
    telling = Deciding(outside)

    await telling.tell(one, always)

    last = dict(telling.decided)
    sent = {number: NOW + timedelta(seconds=0.4) * place for place, number in enumerate(outside.sent)}
    assert outside.sent == list(range(1, EVENTS + 1))
    assert all(sent[number] - last[number] <= timedelta(seconds=1) for number in outside.sent)


async def test_one_that_takes_longer_than_that_for_each_is_told_all_the_same() -> None:
    outside = Outside(takes=3)

    await Deciding(outside).tell(subscriber(), always)

    assert outside.sent == list(range(1, EVENTS + 1))


async def test_where_one_fails_the_rest_waits_and_one_alone_is_tried() -> None:
    outside, one = Outside(down=[3]), subscriber()
    telling = Deciding(outside)
    await telling.tell(one, always)
    assert (outside.sent, one.progress.told, one.progress.failures) == ([1, 2], 2, 1)

    telling.decided.clear()
    await telling.tell(one, always)

    assert [number for number, _ in telling.decided] == [3]
    assert one.progress.failures == 2


async def test_whoever_may_not_go_on_is_told_nothing() -> None:
    async def never(one: Subscriber) -> bool:
        return False

    outside = Outside()
    await Deciding(outside).tell(subscriber(), never)

    assert outside.sent == []
