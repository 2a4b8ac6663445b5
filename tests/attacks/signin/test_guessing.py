"""Brute force on passwords, one-time codes and recovery codes, from many addresses, at once, through two servers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.signin.passwords import Passwords
from fhir_server.smart.signin.proofs import NotProven, Place, Proven, TooSoon, Verdict
from tests.attacks.signin.clinics import PASSWORD, Servers
from tests.browsing import Browser
from tests.fakes.door import QUICK

pytestmark = pytest.mark.anyio

Try = Callable[[int], Awaitable[Verdict]]


def elsewhere(number: int) -> Place:
    return Place(f"2001:db8:{number:x}::1", "", None)


async def at_once(tries: Sequence[Awaitable[Verdict]]) -> list[Verdict]:
    """All of them. One that could not even be counted among so many was not looked at either."""
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert not [one for one in found if isinstance(one, BaseException) and not isinstance(one, UnavailableError)]
    return [TooSoon(timedelta()) if isinstance(one, BaseException) else one for one in found]


async def looked_at(at: Servers, hours: int, one: Try) -> int:
    """How many guesses are looked at in so many hours of guessing without rest, waiting exactly as told."""
    looked, end = 0, at.clock.now() + timedelta(hours=hours)
    while at.clock.now() < end:
        verdict = await one(looked)
        if isinstance(verdict, TooSoon):
            at.clock.advance(verdict.wait)
        else:
            looked += 1
    return looked


async def test_passwords_from_one_address_through_two_servers(at: Servers) -> None:
    user, doors = await at.person(), (at.door, at.another_door())
    place = Place("198.51.100.77", "", None)

    verdicts = await at_once(
        [doors[number % 2].proofs.password(user.username, f"guess {number}", place) for number in range(80)]
    )

    assert sum(isinstance(verdict, NotProven) for verdict in verdicts) == 5
    assert sum(isinstance(verdict, TooSoon) for verdict in verdicts) == 75


async def test_passwords_from_everywhere_are_fewer_than_nist_allows(at: Servers) -> None:
    """SP 800-63B-4 section 3.2.2: at most 100 failures in a row. After fifty they trickle: four an hour."""
    user, doors = await at.person(), (at.door, at.another_door())

    async def guess(number: int) -> Verdict:
        return await doors[number % 2].proofs.password(user.username, "wrong", elsewhere(number))

    assert await looked_at(at, 6, guess) < 100


async def test_one_time_codes_from_everywhere_through_two_servers(at: Servers) -> None:
    user, doors = await at.person(), (at.door, at.another_door())

    async def guess(number: int) -> Verdict:
        return await doors[number % 2].proofs.code(user.id, f"{number:06}", elsewhere(number))

    assert await looked_at(at, 6, guess) < 45
    verdicts = await at_once([guess(number) for number in range(60)])
    assert sum(not isinstance(verdict, TooSoon) for verdict in verdicts) <= 1


async def test_recovery_codes_from_everywhere_through_two_servers(at: Servers) -> None:
    user, doors = await at.person(), (at.door, at.another_door())
    await at.door.enrolment.recovery_codes(user, elsewhere(0))

    async def guess(number: int) -> Verdict:
        return await doors[number % 2].proofs.recovery_code(user.id, "aaaa-aaaa-aaaa-aaaa", elsewhere(number))

    assert await looked_at(at, 6, guess) < 45


async def test_the_person_on_their_own_browser_feels_nothing_of_it(at: Servers, browser: Browser) -> None:
    user = await at.person()
    page = await at.sign_in(browser, user)
    await browser.submit(page, "/sign-out")
    for number in range(70):
        await at.another_door().proofs.password(user.username, "wrong", elsewhere(number))
        await at.another_door().proofs.code(user.id, "000000", elsewhere(number))
        await at.another_door().proofs.recovery_code(user.id, "aaaa-aaaa-aaaa-aaaa", elsewhere(number))
    stranger = await at.door.proofs.password(user.username, PASSWORD, elsewhere(9_999))
    assert isinstance(stranger, TooSoon)

    page = await at.sign_in(browser, user)

    assert page.heading == "Your sign-in"


async def test_nobody_is_shut_out_for_good(at: Servers) -> None:
    user = await at.person()
    for number in range(60):
        await at.door.proofs.password(user.username, "wrong", elsewhere(number))

    at.clock.advance(timedelta(minutes=15))

    assert isinstance(await at.door.proofs.password(user.username, PASSWORD, elsewhere(9_999)), Proven)


async def test_one_password_for_many_users_is_slowed_down_by_address(at: Servers) -> None:
    """Password spraying: one guess for each of many names."""
    place = Place("198.51.100.99", "", None)

    proofs = replace(at.door.proofs, passwords=Passwords(QUICK))
    verdicts = [await proofs.password(f"user.{number}", "Summer2026!", place) for number in range(215)]

    assert sum(isinstance(verdict, NotProven) for verdict in verdicts) == 200


async def test_one_code_at_two_servers_at_once_is_good_once(at: Servers) -> None:
    user, doors = await at.person(), (at.door, at.another_door())
    code = at.code(user)

    verdicts = await asyncio.gather(*(doors[n % 2].proofs.code(user.id, code, elsewhere(1)) for n in range(5)))

    assert sum(isinstance(verdict, Proven) for verdict in verdicts) == 1


async def test_one_recovery_code_at_two_servers_at_once_is_good_once(at: Servers) -> None:
    user, doors = await at.person(), (at.door, at.another_door())
    codes = await at.door.enrolment.recovery_codes(user, elsewhere(0))

    verdicts = await asyncio.gather(
        *(doors[n % 2].proofs.recovery_code(user.id, codes[0], elsewhere(1)) for n in range(5))
    )

    assert sum(isinstance(verdict, Proven) for verdict in verdicts) == 1


async def test_a_guess_at_the_code_takes_a_password_first(at: Servers, browser: Browser) -> None:
    user = await at.person()
    token = (await browser.get("/auth/sign-in")).form("/sign-in").fields[0]

    page = await browser.post("/auth/second-factor", [token, ("code", at.code(user))])

    assert page.heading == "Sign in"


async def test_every_guess_is_in_the_log(at: Servers) -> None:
    user = await at.person()
    audit = at.mongo[at.database]["audit"]
    before = await audit.count_documents({})

    for number in range(4):
        await at.door.proofs.password(user.username, "wrong", elsewhere(number))
    await at.door.proofs.code(user.id, "000000", elsewhere(1))

    assert await audit.count_documents({}) == before + 5
