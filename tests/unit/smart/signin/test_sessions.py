"""Sign-ins: what begins, completes, renews and ends them. Rows T62, T76, S61."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_server.smart.signin.sessions import BEGUN_FOR, Ended, Remembered, Sessions, SignIn
from fhir_server.smart.signin.users import User
from tests.fakes.door import IDLE, LIFETIME, FakeDoor

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
MFA = ("pwd", "otp", "mfa")


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


async def begun(door: FakeDoor, user: User) -> tuple[SignIn, str]:
    return await door.open.sessions.begin(user, ("pwd",), "192.0.2.7", "Netscape")


async def signed_in(door: FakeDoor, user: User, before: SignIn | None = None) -> tuple[SignIn, str]:
    began, _ = await begun(door, user)
    completed = await door.open.sessions.complete(began, MFA, before, "r1")
    assert completed is not None
    return completed


async def test_what_is_begun_is_not_complete_and_ends_soon(door: FakeDoor) -> None:
    one, secret = await begun(door, await door.person("ana"))

    assert await door.open.sessions.find(secret) == one
    assert not one.complete
    assert await door.open.sessions.live(one.id) is None
    door.clock.advance(BEGUN_FOR)
    assert await door.open.sessions.find(secret) is None


async def test_complete_it_has_another_secret(door: FakeDoor) -> None:
    ana = await door.person("ana")
    began, old = await begun(door, ana)

    completed = await door.open.sessions.complete(began, MFA, None, "r1")

    assert completed is not None
    one, secret = completed
    assert secret != old
    assert await door.open.sessions.find(old) is None
    assert await door.open.sessions.find(secret) == one
    assert (one.complete, one.methods, one.request) == (True, MFA, "r1")
    assert await door.another().sessions.live(one.id) == one


async def test_it_is_completed_once(door: FakeDoor) -> None:
    began, _ = await begun(door, await door.person("ana"))
    await door.open.sessions.complete(began, MFA, None, None)

    assert await door.open.sessions.complete(began, MFA, None, None) is None


async def test_t62_t76_it_ends_after_idleness(door: FakeDoor) -> None:
    _, secret = await signed_in(door, await door.person("ana"))
    door.clock.advance(IDLE - SECOND)
    assert await door.open.sessions.find(secret)
    door.clock.advance(IDLE - SECOND)
    assert await door.open.sessions.find(secret), "to be used is not to be idle"

    door.clock.advance(IDLE)

    assert await door.open.sessions.find(secret) is None


async def test_t76_it_ends_in_any_case_after_its_lifetime(door: FakeDoor) -> None:
    one, secret = await signed_in(door, await door.person("ana"))
    for _ in range(int(LIFETIME / timedelta(minutes=10)) - 1):
        door.clock.advance(timedelta(minutes=10))
        assert await door.open.sessions.find(secret)

    door.clock.advance(timedelta(minutes=10))

    assert await door.open.sessions.find(secret) is None
    assert await door.open.sessions.live(one.id) is None


async def test_what_a_client_asks_by_itself_does_not_keep_it_alive(door: FakeDoor) -> None:
    one, secret = await signed_in(door, await door.person("ana"))
    for _ in range(3):
        door.clock.advance(IDLE / 3 - SECOND)
        assert await door.open.sessions.live(one.id)

    door.clock.advance(4 * SECOND)

    assert await door.open.sessions.live(one.id) is None
    assert await door.open.sessions.find(secret) is None


async def test_it_is_not_stored_at_every_look(door: FakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    one, secret = await signed_in(door, await door.person("ana"))
    door.clock.advance(timedelta(seconds=29))

    found = await door.open.sessions.find(secret)

    assert found is not None
    assert found.seen == door.clock.now()
    assert door.kept.sign_ins.rows[one.id].seen == one.seen


async def test_proving_it_again_renews_the_secret_and_keeps_what_hangs_on_it(door: FakeDoor) -> None:
    ana = await door.person("ana")
    first, old = await signed_in(door, ana)
    kept = await door.open.sessions.remember(first, Remembered("app", "nurse", None, ("openid",)))
    assert kept is not None
    door.clock.advance(timedelta(hours=1))

    again, secret = await signed_in(door, ana, before=kept)

    assert again.id == first.id
    assert again.signed_in == door.clock.now()
    assert again.remembered == kept.remembered
    assert secret != old
    assert await door.open.sessions.find(old) is None
    assert len(door.kept.sign_ins.rows) == 1
    assert door.dependents.ended == []


async def test_one_that_ended_while_it_was_renewed_becomes_a_new_one(door: FakeDoor) -> None:
    ana = await door.person("ana")
    first, _ = await signed_in(door, ana)
    await door.kept.sign_ins.end([first.id])

    again, secret = await signed_in(door, ana, before=first)

    assert again.id != first.id
    assert await door.open.sessions.find(secret) == again


async def test_t75_another_person_on_the_same_browser_ends_the_sign_in_before(door: FakeDoor) -> None:
    ana, ben = await door.person("ana"), await door.person("ben")
    first, old = await signed_in(door, ana)

    second, _ = await signed_in(door, ben, before=first)

    assert await door.open.sessions.find(old) is None
    assert door.dependents.ended == [((first.id,), Ended.ANOTHER_PERSON)]
    assert second.user == ben.id


async def test_what_hangs_on_it_ends_before_it(door: FakeDoor) -> None:
    one, secret = await signed_in(door, await door.person("ana"))

    await door.open.sessions.end([one], Ended.SIGNED_OUT)
    await door.open.sessions.end([], Ended.SIGNED_OUT)

    assert door.dependents.ended == [((one.id,), Ended.SIGNED_OUT)]
    assert await door.open.sessions.find(secret) is None


async def test_everywhere_means_every_sign_in_and_every_grant_of_one_user(door: FakeDoor) -> None:
    ana, ben = await door.person("ana"), await door.person("ben")
    secrets = [(await signed_in(door, ana))[1] for _ in range(3)]
    _, other = await signed_in(door, ben)

    await door.open.sessions.end_user(ana.id, Ended.DISABLED)

    assert [await door.open.sessions.find(secret) for secret in secrets] == [None] * 3
    assert await door.open.sessions.find(other)
    assert door.dependents.users == [(ana.id, Ended.DISABLED)]


async def test_all_but_one_leaves_that_one_and_long_grants(door: FakeDoor) -> None:
    ana = await door.person("ana")
    here, mine = await signed_in(door, ana)
    _, there = await signed_in(door, ana)

    await door.open.sessions.end_user(ana.id, Ended.PASSWORD_CHANGED, but=here)

    assert await door.open.sessions.find(mine)
    assert await door.open.sessions.find(there) is None
    assert door.dependents.users == []


async def test_mine_are_listed_latest_first_without_begun_and_dead_ones(door: FakeDoor) -> None:
    ana = await door.person("ana")
    old, _ = await signed_in(door, ana)
    door.clock.advance(timedelta(minutes=1))
    new, _ = await signed_in(door, ana)
    await begun(door, ana)

    assert [one.id for one in await door.open.sessions.of_user(ana.id)] == [new.id, old.id]
    door.clock.advance(IDLE)
    assert await door.open.sessions.of_user(ana.id) == []


async def test_a_grant_is_remembered_once_per_client_role_and_patient(door: FakeDoor) -> None:
    one: SignIn | None = (await signed_in(door, await door.person("ana")))[0]
    for number in range(30):
        assert one is not None
        one = await door.open.sessions.remember(one, Remembered("app", "nurse", f"p{number % 25}", (str(number),)))

    assert one is not None
    assert len(one.remembered) == 20
    assert one.remembered[-1] == Remembered("app", "nurse", "p4", ("29",))


async def test_without_a_secret_nobody_is_found(door: FakeDoor) -> None:
    assert await door.open.sessions.find(None) is None
    assert await door.open.sessions.find("") is None
    assert await door.open.sessions.find("x" * 43) is None


async def test_the_secret_stands_nowhere_in_what_is_kept(door: FakeDoor) -> None:
    _, secret = await signed_in(door, await door.person("ana"))

    assert secret not in repr(door.kept)
    assert secret.encode() not in b"".join(door.kept.sign_ins.secrets)


async def test_nothing_hangs_on_it_where_nobody_depends(door: FakeDoor) -> None:
    alone = Sessions(door.kept.sign_ins, door.open.policy.limits, door.clock, lambda: "x", lambda: "y", dependents=())
    one, _ = await alone.begin(await door.person("ana"), ("pwd",), "", "B" * 500)

    await alone.end([replace(one)], Ended.SIGNED_OUT)
    await alone.end_user(one.user, Ended.SIGNED_OUT)

    assert len(one.browser) == 200
    assert door.kept.sign_ins.rows == {}
