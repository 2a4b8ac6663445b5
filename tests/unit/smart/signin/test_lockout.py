"""How attempts are slowed down: by where they come from, for all processes together, and never for good."""

import asyncio
from datetime import timedelta

import pytest

from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.signin.attempts import Attempts
from fhir_server.smart.signin.lockout import FORGOTTEN_AFTER, Count, Limit, Tally, for_factor, for_password, source_of
from tests.fakes.clock import NOW, FakeClock
from tests.fakes.doorway import FakeTallies

LIMIT = Limit(3, timedelta(seconds=2), timedelta(minutes=1))
COUNT = Count("k", LIMIT, forgiven=True)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (2, 0), (3, 2), (4, 4), (7, 32), (8, 60), (10_000, 60)])
def test_the_wait_doubles_up_to_its_longest(failures: int, seconds: int) -> None:
    assert LIMIT.wait(failures) == timedelta(seconds=seconds)


def test_no_wait_is_longer_than_a_quarter_of_an_hour() -> None:
    counts = (*for_password("ana", "192.0.2.1", None), *for_password("ana", "", "d"), *for_factor("code", "u", None))

    assert max(count.limit.wait(1_000_000) for count in counts) == timedelta(minutes=15)


def test_failures_are_forgotten_after_a_day() -> None:
    tally = Tally(100, NOW, NOW).counting(LIMIT, NOW + FORGOTTEN_AFTER)

    assert tally.failures == 1


def test_a_known_browser_shares_no_count_with_anybody() -> None:
    mine = {count.key for count in for_password("ana", "192.0.2.1", "device")}
    others = {count.key for count in for_password("ana", "192.0.2.1", None)}

    assert mine.isdisjoint(others)
    assert {count.key for count in for_factor("code", "u", "device")}.isdisjoint(
        count.key for count in for_factor("code", "u", None)
    )


def test_strangers_share_a_count_per_account_and_one_per_source() -> None:
    here, there = for_password("ana", "192.0.2.1", None), for_password("ana", "192.0.2.2", None)
    same = {count.key for count in here} & {count.key for count in there}
    other_account = {count.key for count in here} & {count.key for count in for_password("ben", "192.0.2.1", None)}

    assert same == {"password|ana|strangers"}
    assert other_account == {"password|source|192.0.2.1"}


def test_a_success_does_not_clear_the_count_of_an_address() -> None:
    [address] = [count for count in for_password("ana", "192.0.2.1", None) if not count.forgiven]

    assert address.key == "password|source|192.0.2.1"


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::1", "::"),
        ("", "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_a_source_is_one_subscriber(address: str, source: str) -> None:
    assert source_of(address) == source


@pytest.mark.anyio
async def test_attempts_wait_after_the_free_ones_and_go_on_after_the_wait() -> None:
    clock = FakeClock()
    attempts = Attempts(FakeTallies(), clock)

    assert [await attempts.begin([COUNT]) for _ in range(3)] == [None] * 3
    assert await attempts.begin([COUNT]) == timedelta(seconds=2)
    clock.advance(timedelta(seconds=2))
    assert await attempts.begin([COUNT]) is None
    assert await attempts.begin([COUNT]) == timedelta(seconds=4)


@pytest.mark.anyio
async def test_refused_attempts_do_not_lengthen_the_wait() -> None:
    clock = FakeClock()
    attempts = Attempts(FakeTallies(), clock)
    for _ in range(3):
        await attempts.begin([COUNT])

    for _ in range(50):
        assert await attempts.begin([COUNT]) == timedelta(seconds=2)

    clock.advance(timedelta(seconds=2))
    assert await attempts.begin([COUNT]) is None


@pytest.mark.anyio
async def test_a_success_begins_anew() -> None:
    attempts = Attempts(FakeTallies(), FakeClock())
    for _ in range(2):
        await attempts.begin([COUNT])

    await attempts.succeeded([COUNT])

    assert [await attempts.begin([COUNT]) for _ in range(3)] == [None] * 3


@pytest.mark.anyio
async def test_a_count_that_is_not_forgiven_only_loses_the_attempt_that_succeeded() -> None:
    tallies, strict = FakeTallies(), Count("k", LIMIT, forgiven=False)
    attempts = Attempts(tallies, FakeClock())
    for _ in range(2):
        await attempts.begin([strict])

    await attempts.succeeded([strict])
    await attempts.succeeded([Count("never counted", LIMIT, forgiven=False)])

    assert tallies.rows["k"].failures == 1


@pytest.mark.anyio
async def test_many_at_once_in_two_processes_are_as_many_as_the_limit_allows() -> None:
    tallies, clock = FakeTallies(), FakeClock()
    processes = [Attempts(tallies, clock), Attempts(tallies, clock)]

    begun = await asyncio.gather(*(processes[number % 2].begin([COUNT]) for number in range(40)))

    assert begun.count(None) == 3


class Contested(FakeTallies):
    """Somebody else is always faster."""

    async def swap(self, key: str, before: Tally | None, after: Tally) -> bool:
        return False


@pytest.mark.anyio
async def test_who_cannot_be_counted_is_not_let_in() -> None:
    attempts = Attempts(Contested(), FakeClock())

    with pytest.raises(UnavailableError):
        await attempts.begin([COUNT])
    await attempts.succeeded([Count("k", LIMIT, forgiven=False)])


@pytest.mark.anyio
async def test_what_cannot_be_taken_back_stays_counted() -> None:
    tallies = Contested()
    tallies.rows["k"] = Tally(2, NOW, NOW)

    await Attempts(tallies, FakeClock()).succeeded([Count("k", LIMIT, forgiven=False)])

    assert tallies.rows["k"].failures == 2


@pytest.mark.anyio
async def test_a_count_that_closed_in_between_is_seen() -> None:
    """The first look saw an open door; the count itself finds it shut."""

    class Closing(FakeTallies):
        looks = 0

        async def tally(self, key: str) -> Tally | None:
            self.looks += 1
            return None if self.looks == 1 else Tally(9, NOW + timedelta(seconds=7), NOW)

    assert await Attempts(Closing(), FakeClock()).begin([COUNT]) == timedelta(seconds=7)
