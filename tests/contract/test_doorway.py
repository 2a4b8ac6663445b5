"""What sign-in is promised by whoever keeps its users, sign-ins, browsers, counts and spent values."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fhir_server.smart.signin.devices import MOST
from fhir_server.smart.signin.factor_reset import Asked
from fhir_server.smart.signin.lockout import Tally
from fhir_server.smart.signin.sessions import Chosen, Remembered, SignIn
from fhir_server.smart.signin.users import Notice, Passkey, Password, RecoveryCodes, State, Totp, User
from fhir_server.store.doorway import Doorway
from tests.contract.clinics import store_on
from tests.fakes.clock import NOW, FakeClock
from tests.fakes.doorway import FakeDoorway

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
AnyDoorway = Doorway | FakeDoorway


@pytest.fixture(params=["memory", "mongodb"])
async def doorway(request: pytest.FixtureRequest) -> AsyncIterator[AnyDoorway]:
    clock = FakeClock()
    if request.param == "memory":
        yield FakeDoorway(clock)
        return
    uri, database = request.getfixturevalue("mongo_uri"), request.getfixturevalue("empty_database")
    folder: Path = request.getfixturevalue("contract_folder")
    async with store_on(uri, database, folder, clock) as store:
        yield store.doorway


def person(username: str = "ana.lopez", **given: object) -> User:
    plain = User(secrets.token_hex(8), username, "Ana López", ("nurse",), "Practitioner/7", NOW)
    return replace(plain, **given)  # type: ignore[arg-type]  # by field


FULL = person(
    "full",
    state=State.DISABLED,
    password=Password("$argon2id$x", NOW, NOW + HOUR),
    totp=Totp("JBSWY3DPEHPK3PXP", NOW, 58_000_000),
    passkeys=(Passkey(b"\x01\xff", b"\xa5\x01", 7, "Telefon ☎", NOW, synced=True),),
    recovery=RecoveryCodes(b"salt", (b"one", b"two")),
    notices=(Notice("factor-reset", NOW),),
)


def sign_in(of: User, **given: object) -> SignIn:
    plain = SignIn(
        id=secrets.token_hex(8),
        user=of.id,
        complete=False,
        methods=("pwd",),
        signed_in=NOW,
        began=NOW,
        seen=NOW,
        until=NOW + HOUR,
        address="192.0.2.7",
        browser="Netscape",
    )
    return replace(plain, **given)  # type: ignore[arg-type]  # by field


async def test_a_user_comes_back_as_it_was(doorway: AnyDoorway) -> None:
    assert await doorway.users.add(FULL)

    assert await doorway.users.get(FULL.id) == FULL
    assert await doorway.users.named("full") == FULL


async def test_nobody_is_found_by_another_name_or_id(doorway: AnyDoorway) -> None:
    await doorway.users.add(person("ana"))

    assert await doorway.users.named("an") is None
    assert await doorway.users.named("ana ") is None
    assert await doorway.users.get("ana") is None


async def test_a_name_is_given_once_even_to_many_at_once(doorway: AnyDoorway) -> None:
    added = await asyncio.gather(*(doorway.users.add(person("ana")) for _ in range(8)))

    assert sorted(added) == [False] * 7 + [True]
    assert len(await doorway.users.all()) == 1


async def test_of_two_who_replace_the_same_revision_one_learns_of_the_other(doorway: AnyDoorway) -> None:
    user = person()
    await doorway.users.add(user)

    written = await asyncio.gather(*(doorway.users.replace(replace(user, name=f"Ana {n}")) for n in range(6)))

    [stored] = [one for one in written if one]
    assert stored == await doorway.users.get(user.id)
    assert stored.revision == 1
    assert await doorway.users.replace(replace(user, name="late")) is None


async def test_all_users_come_by_name(doorway: AnyDoorway) -> None:
    for name in ("carl", "ana", "ben"):
        await doorway.users.add(person(name))

    assert [user.username for user in await doorway.users.all()] == ["ana", "ben", "carl"]


async def test_a_sign_in_is_found_by_its_secret_and_by_its_id(doorway: AnyDoorway) -> None:
    begun = sign_in(
        FULL,
        offered="SECRET",
        request="r1",
        chosen=Chosen("r1", "nurse", "p1"),
        remembered=(Remembered("app", "nurse", "p1", ("patient/*.rs", "openid")),),
    )
    await doorway.sign_ins.add(begun, b"s" * 32)

    assert await doorway.sign_ins.of_secret(b"s" * 32) == begun
    assert await doorway.sign_ins.get(begun.id) == begun
    assert await doorway.sign_ins.of_user(FULL.id) == [begun]
    assert await doorway.sign_ins.of_secret(b"t" * 32) is None
    assert await doorway.sign_ins.get("other") is None


async def test_under_a_new_secret_the_old_one_opens_nothing(doorway: AnyDoorway) -> None:
    begun = sign_in(FULL)
    await doorway.sign_ins.add(begun, b"s" * 32)

    renewed = await doorway.sign_ins.replace(replace(begun, complete=True), b"t" * 32)

    assert renewed is not None
    assert await doorway.sign_ins.of_secret(b"s" * 32) is None
    assert await doorway.sign_ins.of_secret(b"t" * 32) == renewed


async def test_without_a_new_secret_the_old_one_stays(doorway: AnyDoorway) -> None:
    begun = sign_in(FULL)
    await doorway.sign_ins.add(begun, b"s" * 32)

    changed = await doorway.sign_ins.replace(replace(begun, offered="SECRET"))

    assert changed is not None
    assert await doorway.sign_ins.of_secret(b"s" * 32) == changed


async def test_what_moved_or_ended_is_not_written_again(doorway: AnyDoorway) -> None:
    begun = sign_in(FULL)
    await doorway.sign_ins.add(begun, b"s" * 32)
    await doorway.sign_ins.replace(begun)

    assert await doorway.sign_ins.replace(begun) is None
    assert await doorway.sign_ins.replace(begun, b"t" * 32) is None
    await doorway.sign_ins.end([begun.id, "unknown"])
    assert await doorway.sign_ins.replace(replace(begun, revision=1), b"t" * 32) is None
    assert await doorway.sign_ins.get(begun.id) is None


async def test_a_touch_moves_only_forward(doorway: AnyDoorway) -> None:
    begun = sign_in(FULL)
    await doorway.sign_ins.add(begun, b"s" * 32)

    await doorway.sign_ins.touch(begun.id, NOW + HOUR)
    await doorway.sign_ins.touch(begun.id, NOW)
    await doorway.sign_ins.touch("unknown", NOW)

    found = await doorway.sign_ins.get(begun.id)
    assert found is not None
    assert found.seen == NOW + HOUR


async def test_a_browser_is_known_to_whom_it_was_added_until_its_time(doorway: AnyDoorway) -> None:
    await doorway.devices.add("ana", b"d" * 32, NOW, NOW + HOUR)

    assert await doorway.devices.known("ana", b"d" * 32, NOW)
    assert not await doorway.devices.known("ana", b"d" * 32, NOW + HOUR)
    assert not await doorway.devices.known("ben", b"d" * 32, NOW)
    assert not await doorway.devices.known("ana", b"e" * 32, NOW)


async def test_beyond_the_most_the_browser_unused_for_longest_goes(doorway: AnyDoorway) -> None:
    for number in range(MOST + 1):
        await doorway.devices.add("ana", bytes([number]) * 32, NOW + timedelta(seconds=number), NOW + HOUR)

    assert await doorway.devices.count("ana", NOW) == MOST
    assert not await doorway.devices.known("ana", bytes([0]) * 32, NOW)
    assert await doorway.devices.known("ana", bytes([MOST]) * 32, NOW)


async def test_forgotten_browsers_are_unknown(doorway: AnyDoorway) -> None:
    await doorway.devices.add("ana", b"d" * 32, NOW, NOW + HOUR)
    await doorway.devices.add("ben", b"d" * 32, NOW, NOW + HOUR)

    await doorway.devices.forget("ana")

    assert not await doorway.devices.known("ana", b"d" * 32, NOW)
    assert await doorway.devices.known("ben", b"d" * 32, NOW)


async def test_of_many_who_swap_the_same_count_one_succeeds(doorway: AnyDoorway) -> None:
    first, second = Tally(1, NOW, NOW), Tally(2, NOW + HOUR, NOW)

    assert sorted(await asyncio.gather(*(doorway.tallies.swap("k", None, first) for _ in range(5)))) == [
        *[False] * 4,
        True,
    ]
    assert await doorway.tallies.tally("k") == first
    assert sorted(await asyncio.gather(*(doorway.tallies.swap("k", first, second) for _ in range(5)))) == [
        *[False] * 4,
        True,
    ]
    assert await doorway.tallies.tally("k") == second
    assert await doorway.tallies.tally("other") is None


async def test_a_forgotten_count_begins_anew(doorway: AnyDoorway) -> None:
    await doorway.tallies.swap("k", None, Tally(1, NOW, NOW))

    await doorway.tallies.forget("k")

    assert await doorway.tallies.tally("k") is None


async def test_a_value_is_spent_once_by_whoever_is_first(doorway: AnyDoorway) -> None:
    spent = await asyncio.gather(*(doorway.spent.spend(b"v", NOW + n * HOUR) for n in range(6)))

    assert sorted(spent) == [*[False] * 5, True]
    assert await doorway.spent.spend(b"w", NOW + HOUR)


async def test_a_request_to_reset_stands_until_it_is_forgotten(doorway: AnyDoorway) -> None:
    await doorway.reset_requests.ask(Asked("ana", "ben", NOW))
    await doorway.reset_requests.ask(Asked("ana", "carl", NOW + HOUR))

    assert await doorway.reset_requests.asked("ana") == Asked("ana", "carl", NOW + HOUR)
    await doorway.reset_requests.forget("ana")
    assert await doorway.reset_requests.asked("ana") is None


async def test_a_sweep_drops_what_is_over_and_nothing_else(doorway: AnyDoorway) -> None:
    over, living = sign_in(FULL, until=NOW), sign_in(FULL, until=NOW + HOUR)
    await doorway.sign_ins.add(over, b"s" * 32)
    await doorway.sign_ins.add(living, b"t" * 32)
    await doorway.devices.add("ana", b"d" * 32, NOW - HOUR, NOW)
    await doorway.devices.add("ana", b"e" * 32, NOW, NOW + HOUR)
    await doorway.spent.spend(b"v", NOW)
    await doorway.spent.spend(b"w", NOW + HOUR)
    await doorway.tallies.swap("k", None, Tally(1, NOW, NOW))

    await doorway.sweep()

    assert await doorway.sign_ins.of_user(FULL.id) == [living]
    assert await doorway.devices.count("ana", NOW - HOUR) == 1
    assert not await doorway.spent.spend(b"w", NOW + HOUR)
    assert await doorway.spent.spend(b"v", NOW + HOUR)
    assert await doorway.tallies.tally("k") is not None
