"""What people change of themselves, what administrators do to them, and how they leave. Rows S61, T75."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_server.kernel.errors import ForbiddenError, InvalidRequestError, NotFoundError, UnavailableError
from fhir_server.smart.signin.administration import ONCE_FOR, NewUser, Told
from fhir_server.smart.signin.factor_reset import ALONE_AFTER, ASKED_FOR, Done, WaitsForSecond, WaitsUntil
from fhir_server.smart.signin.leaving import HandedOver
from fhir_server.smart.signin.password_rules import Refusal
from fhir_server.smart.signin.proofs import NotProven, Proven
from fhir_server.smart.signin.sessions import Ended, SignIn
from fhir_server.smart.signin.totp import new_secret
from fhir_server.smart.signin.users import MOST_PASSKEYS, Passkey, State, User
from tests.fakes.clock import NOW
from tests.fakes.door import HOME, PASSWORD, FakeDoor

pytestmark = pytest.mark.anyio

NEW = "seventeen blue herons"


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


async def signed_in(door: FakeDoor, user: User) -> SignIn:
    begun, _ = await door.open.sessions.begin(user, ("pwd",), "", "")
    completed = await door.open.sessions.complete(begun, ("pwd", "otp", "mfa"), None, None)
    assert completed is not None
    return completed[0]


# Roles.


@pytest.mark.parametrize(
    ("roles", "staff", "guarded"),
    [
        (("patient",), False, False),
        (("related-person", "patient"), False, False),
        (("receptionist",), True, False),
        (("patient", "nurse"), True, True),
        (("administrator",), True, True),
        (("auditor",), True, False),
    ],
)
def test_s61_whoever_works_there_is_staff_whatever_else(roles: tuple[str, ...], *, staff: bool, guarded: bool) -> None:
    user = User("1", "ana", "Ana", roles, None, NOW)

    assert (user.is_staff, user.is_guarded) == (staff, guarded)


# One's own.


async def test_a_new_password_ends_every_other_sign_in(door: FakeDoor) -> None:
    ana = await door.person("ana")
    here, there = await signed_in(door, ana), await signed_in(door, ana)

    changed = await door.open.enrolment.set_password(ana, NEW, HOME, here)

    assert isinstance(changed, User)
    assert isinstance(await door.open.proofs.password("ana", NEW, HOME), Proven)
    assert await door.open.proofs.password("ana", PASSWORD, HOME) == NotProven()
    assert await door.open.sessions.live(here.id)
    assert await door.open.sessions.live(there.id) is None
    assert ("password-set", True) in door.witness.actions


async def test_a_password_alone_must_be_longer(door: FakeDoor) -> None:
    pat, ana = await door.person("pat", "patient", totp=False), await door.person("ana", totp=False)
    short = "gx7kq2pd"

    assert await door.open.enrolment.set_password(pat, short, HOME, await signed_in(door, pat)) is Refusal.SHORT
    assert isinstance(await door.open.enrolment.set_password(ana, short, HOME, await signed_in(door, ana)), User)


async def test_a_password_that_is_ones_name_is_refused(door: FakeDoor) -> None:
    ana = await door.alter(await door.person("ana.lopez"), name="Ana Fitzgerald")
    here = await signed_in(door, ana)

    assert await door.open.enrolment.set_password(ana, "Fitzgerald1", HOME, here) is Refusal.NAME


async def test_an_app_is_enrolled_by_its_first_code(door: FakeDoor) -> None:
    ana = await door.person("ana", totp=False)
    secret = new_secret()
    assert await door.open.enrolment.enrol_totp(ana, secret, "000000", HOME) is None

    import pyotp

    enrolled = await door.open.enrolment.enrol_totp(ana, secret, pyotp.TOTP(secret).at(door.clock.now()), HOME)

    assert enrolled is not None
    assert enrolled.has_second_factor
    assert [notice.code for notice in enrolled.notices] == ["totp-enrolled"]
    assert secret in door.open.enrolment.totp_address(ana, secret)


async def test_there_is_an_end_to_passkeys(door: FakeDoor) -> None:
    ana = await door.person("ana")
    many = tuple(Passkey(bytes([number]), b"", 0, "", NOW, synced=False) for number in range(MOST_PASSKEYS))
    ana = await door.alter(ana, passkeys=many)

    assert await door.open.enrolment.enrol_passkey(ana, "{}", b"", "", "", HOME) is None


async def test_s61_a_removed_factor_ends_what_rested_on_it(door: FakeDoor) -> None:
    ana = await door.person("ana")
    ana = await door.alter(ana, passkeys=(Passkey(b"1", b"", 0, "key", NOW, synced=False),))
    one = await signed_in(door, ana)

    left = await door.open.enrolment.remove_totp(ana, HOME)
    none = await door.open.enrolment.remove_passkey(left, b"1", HOME)

    assert left.has_second_factor
    assert not none.has_second_factor
    assert door.dependents.ended == [((one.id,), Ended.FACTOR_REMOVED)]
    assert door.dependents.users == [(ana.id, Ended.FACTOR_REMOVED)] * 2
    assert ("second-factor-removed", True) in door.witness.actions


async def test_notices_go_when_they_were_seen(door: FakeDoor) -> None:
    ana = await door.person("ana")
    ana = await door.open.enrolment.remove_totp(ana, HOME)
    assert ana.notices

    assert (await door.open.enrolment.notices_seen(ana)).notices == ()


async def test_who_is_gone_cannot_be_changed(door: FakeDoor) -> None:
    ana = await door.person("ana")
    door.kept.users.rows.clear()

    with pytest.raises(UnavailableError):
        await door.open.enrolment.remove_totp(ana, HOME)


# By administrators.


async def test_a_new_user_gets_a_password_for_once(door: FakeDoor) -> None:
    user, once = await door.open.administration.add(NewUser("Ana.Lopez", "  Ana  López ", ("nurse",), "Practitioner/7"))

    verdict = await door.open.proofs.password("ana.lopez", once, HOME)
    assert verdict == Proven(user, ("pwd",))
    assert user.name == "Ana López"
    assert user.password is not None
    assert user.password.once_until == NOW + ONCE_FOR
    assert not user.has_second_factor
    assert await door.open.administration.named("ANA.LOPEZ") == user
    assert await door.open.administration.all() == [user]


async def test_without_a_name_the_username_is_shown(door: FakeDoor) -> None:
    assert door.open.administration.described(NewUser("ana", "", ("auditor",), None)).name == "ana"


@pytest.mark.parametrize(
    "new",
    [
        NewUser("ana lopez", "", ("nurse",), None),
        NewUser("ana", "", (), None),
        NewUser("ana", "", ("surgeon",), None),
        NewUser("ana", "", ("nurse", "nurse"), None),
        NewUser("ana", "", ("nurse",), "Organization/1"),
        NewUser("ana", "", ("nurse",), "Practitioner/1/_history/2"),
        NewUser("ana", "", ("nurse",), "Practitioner 1"),
        NewUser("ana", "", ("patient",), None),
        NewUser("ana", "", ("patient",), "Practitioner/1"),
        NewUser("ana", "", ("related-person",), "Patient/1"),
        NewUser("ana", "x" * 101, ("nurse",), None),
        NewUser("ana", "a\x00b", ("nurse",), None),
    ],
)
async def test_what_cannot_be_a_user_is_refused(door: FakeDoor, new: NewUser) -> None:
    with pytest.raises(InvalidRequestError):
        await door.open.administration.add(new)
    assert door.kept.users.rows == {}


async def test_a_name_is_given_once_and_to_nobody_else_after_they_left(door: FakeDoor) -> None:
    ana, ben = await door.person("ana"), await door.person("ben")
    await door.open.leaving.leave(ana, ben)

    with pytest.raises(InvalidRequestError):
        await door.open.administration.add(NewUser("ANA", "", ("nurse",), None))
    with pytest.raises(NotFoundError):
        await door.open.administration.named("nobody")
    with pytest.raises(NotFoundError):
        await door.open.administration.named("no name at all")


async def test_disabled_nobody_comes_in_and_enabled_again_they_do(door: FakeDoor) -> None:
    ana = await door.person("ana")
    one = await signed_in(door, ana)

    await door.open.administration.disable(ana)
    assert await door.open.sessions.live(one.id) is None
    assert await door.open.proofs.password("ana", PASSWORD, HOME) == NotProven()
    with pytest.raises(InvalidRequestError):
        await door.open.administration.reset_password(await door.now(ana))

    await door.open.administration.enable(ana)
    assert isinstance(await door.open.proofs.password("ana", PASSWORD, HOME), Proven)


async def test_a_reset_password_leaves_the_second_factor_and_is_told(door: FakeDoor) -> None:
    ana = await door.person("ana")
    one = await signed_in(door, ana)

    once = await door.open.administration.reset_password(ana)

    now = await door.now(ana)
    assert now.totp == ana.totp
    assert await door.open.sessions.live(one.id) is None
    assert await door.open.proofs.password("ana", PASSWORD, HOME) == NotProven()
    assert isinstance(await door.open.proofs.password("ana", once, HOME), Proven)
    assert door.messenger.told == [("ana", Told.PASSWORD_RESET)]
    assert [notice.code for notice in now.notices] == ["password-reset"]


# A lost factor.


async def clinic(door: FakeDoor, administrators: int) -> tuple[User, list[User]]:
    ana = await door.person("ana")
    return ana, [await door.person(f"admin{number}", "administrator") for number in range(administrators)]


async def test_two_administrators_take_a_clinical_factor_away(door: FakeDoor) -> None:
    ana, [first, second] = await clinic(door, 2)
    one = await signed_in(door, ana)
    await door.open.devices.learn(ana.id, None)

    assert await door.open.factor_reset.reset(ana, first) == WaitsForSecond()
    assert (await door.now(ana)).has_second_factor
    assert await door.open.factor_reset.reset(ana, first) == WaitsForSecond(), "once more is not a second one"
    assert await door.open.factor_reset.reset(ana, second) == Done()

    assert not (await door.now(ana)).has_second_factor
    assert await door.open.sessions.live(one.id) is None
    assert await door.open.devices.count(ana.id) == 0
    assert door.messenger.told == [("ana", Told.FACTOR_RESET_ASKED), ("ana", Told.FACTOR_RESET)]
    assert [notice.code for notice in (await door.now(ana)).notices] == ["factor-reset-asked", "factor-reset"]


async def test_waiting_does_not_replace_the_second_administrator(door: FakeDoor) -> None:
    ana, [first, _] = await clinic(door, 2)
    await door.open.factor_reset.reset(ana, first)

    door.clock.advance(ALONE_AFTER * 2)

    assert await door.open.factor_reset.reset(ana, first) == WaitsForSecond()


async def test_in_a_clinic_of_one_it_takes_a_day_after_notice(door: FakeDoor) -> None:
    ana, [only] = await clinic(door, 1)

    assert await door.open.factor_reset.reset(ana, only) == WaitsUntil(NOW + ALONE_AFTER)
    assert door.messenger.told == [("ana", Told.FACTOR_RESET_ASKED)]
    door.clock.advance(ALONE_AFTER - timedelta(seconds=1))
    assert await door.open.factor_reset.reset(ana, only) == WaitsUntil(NOW + ALONE_AFTER)
    door.clock.advance(timedelta(seconds=1))
    assert await door.open.factor_reset.reset(ana, only) == Done()
    assert not (await door.now(ana)).has_second_factor


async def test_the_other_administrator_being_the_one_in_need_counts_as_none(door: FakeDoor) -> None:
    _, [first, second] = await clinic(door, 2)

    assert isinstance(await door.open.factor_reset.reset(second, first), WaitsUntil)


async def test_an_administrator_without_a_factor_is_no_second_one(door: FakeDoor) -> None:
    ana, [first] = await clinic(door, 1)
    await door.person("admin9", "administrator", totp=False)

    assert isinstance(await door.open.factor_reset.reset(ana, first), WaitsUntil)


async def test_a_request_of_somebody_who_may_no_more_is_worth_nothing(door: FakeDoor) -> None:
    ana, [first, second, _] = await clinic(door, 3)
    await door.open.factor_reset.reset(ana, first)
    await door.open.administration.disable(first)

    assert await door.open.factor_reset.reset(ana, second) == WaitsForSecond()
    door.kept.users.rows.pop(second.id)
    third = await door.now((await door.kept.users.named("admin2")) or ana)
    assert isinstance(await door.open.factor_reset.reset(ana, third), WaitsUntil)


async def test_an_old_request_is_forgotten(door: FakeDoor) -> None:
    ana, [first, second] = await clinic(door, 2)
    await door.open.factor_reset.reset(ana, first)

    door.clock.advance(ASKED_FOR)

    assert await door.open.factor_reset.reset(ana, second) == WaitsForSecond()


async def test_who_is_not_clinical_needs_one(door: FakeDoor) -> None:
    _, [first, _] = await clinic(door, 2)
    desk = await door.person("desk", "receptionist")

    assert await door.open.factor_reset.reset(desk, first) == Done()
    with pytest.raises(InvalidRequestError):
        await door.open.factor_reset.reset(await door.now(desk), first)


async def test_only_an_active_administrator_resets(door: FakeDoor) -> None:
    ana, [first] = await clinic(door, 1)

    with pytest.raises(ForbiddenError):
        await door.open.factor_reset.reset(ana, await door.person("ben"))
    with pytest.raises(ForbiddenError):
        await door.open.factor_reset.reset(ana, replace(first, state=State.DISABLED))


# Leaving.


async def test_who_left_has_no_way_in_and_hands_over(door: FakeDoor) -> None:
    ana, ben = await door.person("ana"), await door.person("ben")
    one = await signed_in(door, ana)
    await door.open.devices.learn(ana.id, None)
    await door.open.enrolment.recovery_codes(ana, HOME)

    handed = await door.open.leaving.leave(ana, ben)

    left = await door.now(ana)
    assert (left.state, left.password, left.totp, left.passkeys, left.recovery) == (State.LEFT, None, None, (), None)
    assert await door.open.sessions.live(one.id) is None
    assert door.dependents.users == [(ana.id, Ended.LEFT)]
    assert await door.open.devices.count(ana.id) == 0
    assert door.hand_over.asked == [("Practitioner/ana", "Practitioner/ben")]
    assert handed == HandedOver(2, 3)
    for again in (door.open.administration.enable, door.open.administration.disable):
        with pytest.raises(InvalidRequestError):
            await again(left)


async def test_who_is_nobody_in_the_record_has_nothing_to_hand_over(door: FakeDoor) -> None:
    ana, ben = await door.alter(await door.person("ana"), fhir_user=None), await door.person("ben")

    assert await door.open.leaving.leave(ana, ben) == HandedOver(0, 0)


async def test_it_goes_to_somebody_else_who_can_take_it(door: FakeDoor) -> None:
    ana, ben = await door.person("ana"), await door.person("ben")
    gone = await door.open.administration.disable(ben)
    nobody = await door.alter(await door.person("carl"), fhir_user=None)

    for to in (ana, gone, nobody):
        with pytest.raises(InvalidRequestError):
            await door.open.leaving.leave(ana, to)
    assert (await door.now(ana)).active
