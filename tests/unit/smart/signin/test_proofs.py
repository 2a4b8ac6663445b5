"""What counts as proof of who somebody is, and what all that is none has in common."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.signin.devices import LIFETIME
from fhir_server.smart.signin.passkeys import MOST_RESPONSE, RelyingParty, challenge_of, owner_of
from fhir_server.smart.signin.passwords import Effort, Passwords
from fhir_server.smart.signin.proofs import ENROL, SIGN_IN, NotProven, Place, Proven, TooSoon
from fhir_server.smart.signin.users import Password, State, User, named
from tests.fakes.authenticator import FakeAuthenticator
from tests.fakes.door import HOME, PASSWORD, FakeDoor

pytestmark = pytest.mark.anyio

BROWSER = "the browser's secret"


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


async def test_the_right_password_is_one_factor(door: FakeDoor) -> None:
    ana = await door.person("ana")

    verdict = await door.open.proofs.password("ANA ", PASSWORD, HOME)

    assert verdict == Proven(ana, ("pwd",))
    assert door.witness.seen == []


@pytest.mark.parametrize(
    ("username", "password"), [("ana", "wrong"), ("nobody", PASSWORD), ("", PASSWORD), ("ana", ""), ("ben", PASSWORD)]
)
async def test_everything_else_has_one_answer(door: FakeDoor, username: str, password: str) -> None:
    await door.person("ana")
    await door.alter(await door.person("ben"), state=State.DISABLED)

    assert await door.open.proofs.password(username, password, HOME) == NotProven()
    assert door.witness.actions == [("password", False)]


async def test_an_attempt_that_fails_is_recorded_without_what_was_typed(door: FakeDoor) -> None:
    ana = await door.person("ana")

    await door.open.proofs.password("ana", "wrong", HOME)
    await door.open.proofs.password("my secret password typed as a name", "x", HOME)

    assert [one.subject for one in door.witness.seen] == [ana.id, ""]
    assert "secret" not in repr(door.witness.seen)


async def test_a_password_that_was_handed_out_ends(door: FakeDoor) -> None:
    ana = await door.person("ana")
    assert ana.password is not None
    await door.alter(ana, password=replace(ana.password, once_until=door.clock.now() + timedelta(hours=1)))

    assert isinstance(await door.open.proofs.password("ana", PASSWORD, HOME), Proven)
    door.clock.advance(timedelta(hours=1))
    assert await door.open.proofs.password("ana", PASSWORD, HOME) == NotProven()


async def test_a_hash_of_older_parameters_is_renewed(door: FakeDoor) -> None:
    ana = await door.person("ana")
    old = await Passwords(Effort(memory=32, passes=2)).hash(PASSWORD)
    await door.alter(ana, password=Password(old, door.clock.now()))

    assert isinstance(await door.open.proofs.password("ana", PASSWORD, HOME), Proven)

    renewed = (await door.now(ana)).password
    assert renewed is not None
    assert renewed.hash.startswith("$argon2id$v=19$m=64,t=1")
    assert isinstance(await door.open.proofs.password("ana", PASSWORD, HOME), Proven)


async def test_after_failures_the_right_password_waits_too(door: FakeDoor) -> None:
    await door.person("ana")
    for _ in range(5):
        assert await door.open.proofs.password("ana", "wrong", HOME) == NotProven()

    assert isinstance(await door.another().proofs.password("ana", PASSWORD, HOME), TooSoon)
    door.clock.advance(timedelta(seconds=2))
    assert isinstance(await door.open.proofs.password("ana", PASSWORD, HOME), Proven)


async def test_unknown_names_are_slowed_down_like_known_ones(door: FakeDoor) -> None:
    await door.person("ana")
    answers = {
        name: [await door.open.proofs.password(name, "wrong", replace(HOME, address=address)) for _ in range(7)]
        for name, address in (("ana", "192.0.2.1"), ("nobody", "192.0.2.2"))
    }

    assert answers["ana"] == answers["nobody"]
    assert isinstance(answers["ana"][-1], TooSoon)


async def test_failures_of_others_do_not_touch_a_known_browser(door: FakeDoor) -> None:
    ana = await door.person("ana")
    device = await door.open.devices.learn(ana.id, None)
    for number in range(300):
        await door.open.proofs.password("ana", "wrong", Place(f"198.51.100.{number % 250}", "", None))
        await door.open.proofs.code(ana.id, "000000", Place("198.51.100.1", "", None))
    assert isinstance(await door.open.proofs.password("ana", PASSWORD, HOME), TooSoon)

    known = replace(HOME, device=device)

    assert isinstance(await door.open.proofs.password("ana", PASSWORD, known), Proven)
    assert isinstance(await door.open.proofs.code(ana.id, door.code(ana), known), Proven)


async def test_a_browser_is_known_to_its_own_users_alone(door: FakeDoor) -> None:
    ana, mallory = await door.person("ana"), await door.person("mallory")
    device = await door.open.devices.learn(mallory.id, None)
    for _ in range(5):
        await door.open.proofs.password("ana", "wrong", replace(HOME, device=device))

    assert isinstance(await door.open.proofs.password("ana", PASSWORD, replace(HOME, device=device)), TooSoon)
    assert await door.open.devices.learn(ana.id, device) == device, "several people may share a browser"
    assert await door.open.devices.count(ana.id) == 1


async def test_a_known_browser_is_slowed_down_by_its_own_failures(door: FakeDoor) -> None:
    ana = await door.person("ana")
    place = replace(HOME, device=await door.open.devices.learn(ana.id, None))
    for _ in range(5):
        await door.open.proofs.password("ana", "wrong", place)

    assert isinstance(await door.open.proofs.password("ana", PASSWORD, place), TooSoon)


async def test_a_browser_is_forgotten_in_the_end(door: FakeDoor) -> None:
    ana = await door.person("ana")
    device = await door.open.devices.learn(ana.id, None)
    assert await door.open.devices.name(ana.id, device)

    door.clock.advance(LIFETIME)

    assert await door.open.devices.name(ana.id, device) is None
    assert await door.open.devices.name(ana.id, None) is None


async def test_a_secret_that_cannot_be_ours_is_replaced(door: FakeDoor) -> None:
    ana = await door.person("ana")

    learnt = await door.open.devices.learn(ana.id, "chosen by somebody else")

    assert len(learnt) == 43


async def test_a_code_is_the_second_factor_and_used_up(door: FakeDoor) -> None:
    ana = await door.person("ana")
    code = door.code(ana)
    assert ana.totp is not None

    assert await door.open.proofs.code(ana.id, code, HOME) == Proven(await door.now(ana), ("otp",), named(ana.totp))
    assert await door.open.proofs.code(ana.id, code, HOME) == NotProven()
    assert door.witness.actions == [("one-time-code", False)]


async def test_one_code_in_two_processes_at_once_is_good_once(door: FakeDoor) -> None:
    ana = await door.person("ana")
    code = door.code(ana)

    verdicts = await asyncio.gather(*(door.another().proofs.code(ana.id, code, HOME) for _ in range(4)))

    assert sum(isinstance(verdict, Proven) for verdict in verdicts) == 1


async def test_codes_cannot_be_tried_for_long(door: FakeDoor) -> None:
    """In a day of trying without rest, from anywhere, fewer than 120 of a million codes are looked at."""
    ana = await door.person("ana")
    looked, end = 0, door.clock.now() + timedelta(hours=24)
    while door.clock.now() < end:
        verdict = await door.open.proofs.code(ana.id, "000000", Place(f"198.51.100.{looked % 250}", "", None))
        if isinstance(verdict, TooSoon):
            door.clock.advance(verdict.wait)
        else:
            looked += 1

    assert looked < 120


async def test_who_has_no_app_has_no_code(door: FakeDoor) -> None:
    ana = await door.person("ana", totp=False)

    assert await door.open.proofs.code(ana.id, "000000", HOME) == NotProven()
    assert await door.open.proofs.recovery_code(ana.id, "aaaa-aaaa-aaaa-aaaa", HOME) == NotProven()
    assert await door.open.proofs.code("unknown", "000000", HOME) == NotProven()


async def test_a_recovery_code_stands_for_the_second_factor_once(door: FakeDoor) -> None:
    ana = await door.person("ana")
    codes = await door.open.enrolment.recovery_codes(ana, HOME)

    verdicts = await asyncio.gather(*(door.open.proofs.recovery_code(ana.id, codes[0], HOME) for _ in range(3)))

    assert sorted(isinstance(verdict, Proven) for verdict in verdicts) == [False, False, True]
    assert isinstance(await door.open.proofs.recovery_code(ana.id, codes[1], HOME), Proven)


async def test_somebody_disabled_meanwhile_proves_nothing(door: FakeDoor) -> None:
    ana = await door.person("ana")
    await door.alter(ana, state=State.DISABLED)

    assert await door.open.proofs.code(ana.id, door.code(ana), HOME) == NotProven()


async def test_whom_others_keep_changing_is_told_to_try_again(door: FakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = await door.person("ana")

    async def lost(user: User) -> None:
        return None

    monkeypatch.setattr(door.kept.users, "replace", lost)

    with pytest.raises(UnavailableError):
        await door.open.proofs.code(ana.id, door.code(ana), HOME)
    with pytest.raises(UnavailableError):
        await door.open.enrolment.recovery_codes(ana, HOME)


# Passkeys.


async def with_passkey(door: FakeDoor, user: User, device: FakeAuthenticator) -> User:
    party, challenge = door.open.relying_party, door.open.binding.challenge(ENROL, BROWSER, door.clock.now())
    assert party is not None
    response = device.register(party.registration(user, challenge))
    enrolled = await door.open.enrolment.enrol_passkey(user, response, challenge, BROWSER, "key", HOME)
    assert enrolled is not None
    return enrolled


def asked(door: FakeDoor, user: User | None = None) -> tuple[str, bytes]:
    challenge = door.open.binding.challenge(SIGN_IN, BROWSER, door.clock.now())
    assert door.open.relying_party is not None
    return door.open.relying_party.assertion(challenge, user), challenge


@pytest.mark.parametrize(("synced", "method"), [(False, "hwk"), (True, "swk")])
@pytest.mark.parametrize("counts", [True, False])
async def test_a_passkey_says_whose_it_is(door: FakeDoor, synced: bool, method: str, counts: bool) -> None:  # noqa: FBT001  parameters
    device = FakeAuthenticator(synced=synced, counts=counts)
    ana = await with_passkey(door, await door.person("ana"), device)
    options, challenge = asked(door)

    verdict = await door.open.proofs.passkey(device.sign(options), challenge, BROWSER, HOME, None)

    assert verdict == Proven(await door.now(ana), (method, "user"), named(ana.passkeys[0]))


async def test_options_ask_for_a_discoverable_key_and_a_verified_person(door: FakeDoor) -> None:
    ana = await with_passkey(door, await door.person("ana"), FakeAuthenticator())
    assert door.open.relying_party is not None

    made = json.decode(door.open.relying_party.registration(ana, b"c").encode())
    used = json.decode(door.open.relying_party.assertion(b"c", ana).encode())

    assert made["authenticatorSelection"]["userVerification"] == used["userVerification"] == "required"
    assert made["authenticatorSelection"]["residentKey"] == "required"
    assert len(made["excludeCredentials"]) == len(used["allowCredentials"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"verified": False},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:9000"},
        {"party": "evil.example"},
        {"count": -1},
        {"user_handle": b"somebody else"},
        {"id": b"another key"},
    ],
)
async def test_a_passkey_used_wrongly_proves_nothing(door: FakeDoor, wrong: dict[str, object]) -> None:
    device = FakeAuthenticator()
    ana = await with_passkey(door, await door.person("ana"), device)
    options, challenge = asked(door)
    device.sign(options)
    device = replace(device, **wrong)  # type: ignore[arg-type]  # by field
    await door.alter(ana, passkeys=tuple(replace(one, count=1) for one in (await door.now(ana)).passkeys))

    verdict = await door.open.proofs.passkey(device.sign(options), challenge, BROWSER, HOME, ana.id)

    assert verdict == NotProven()
    assert door.witness.actions[-1] == ("passkey", False)


async def test_a_challenge_is_good_once_for_its_browser_purpose_and_time(door: FakeDoor) -> None:
    device = FakeAuthenticator(counts=False)
    ana = await with_passkey(door, await door.person("ana"), device)
    options, challenge = asked(door)
    signed = device.sign(options)

    assert await door.open.proofs.passkey(signed, challenge, "another browser", HOME, ana.id) == NotProven()
    assert await door.open.proofs.passkey(signed, challenge[:-1], BROWSER, HOME, ana.id) == NotProven()
    assert await door.open.proofs.passkey(signed, b"", BROWSER, HOME, ana.id) == NotProven()
    assert isinstance(await door.open.proofs.passkey(signed, challenge, BROWSER, HOME, ana.id), Proven)
    assert await door.another().proofs.passkey(signed, challenge, BROWSER, HOME, ana.id) == NotProven()
    late, challenge = asked(door)
    door.clock.advance(timedelta(minutes=5))
    assert await door.open.proofs.passkey(device.sign(late), challenge, BROWSER, HOME, ana.id) == NotProven()


async def test_a_challenge_for_one_purpose_is_not_good_for_another(door: FakeDoor) -> None:
    device = FakeAuthenticator()
    ana = await door.person("ana")
    _, challenge = asked(door)
    assert door.open.relying_party is not None
    response = device.register(door.open.relying_party.registration(ana, challenge))

    assert await door.open.enrolment.enrol_passkey(ana, response, challenge, BROWSER, "key", HOME) is None


async def test_an_enrolment_is_good_once_and_needs_a_verified_person(door: FakeDoor) -> None:
    ana = await door.person("ana")
    party, challenge = door.open.relying_party, door.open.binding.challenge(ENROL, BROWSER, door.clock.now())
    assert party is not None
    lax = FakeAuthenticator(verified=False).register(party.registration(ana, challenge))
    assert await door.open.enrolment.enrol_passkey(ana, lax, challenge, BROWSER, "key", HOME) is None

    again = FakeAuthenticator().register(party.registration(ana, challenge))

    assert await door.open.enrolment.enrol_passkey(ana, again, challenge, BROWSER, "key", HOME) is None


async def test_the_passkey_of_one_is_not_the_second_factor_of_another(door: FakeDoor) -> None:
    device = FakeAuthenticator()
    await with_passkey(door, await door.person("mallory"), device)
    ana = await with_passkey(door, await door.person("ana"), FakeAuthenticator())
    options, challenge = asked(door, ana)

    assert await door.open.proofs.passkey(device.sign(options), challenge, BROWSER, HOME, ana.id) == NotProven()


@pytest.mark.parametrize(
    "response",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"id":"a","rawId":"a","type":"public-key","response":{}}',
        '{"id":1}',
        "x" * (MOST_RESPONSE + 1),
        "[" * 20_000,
        '{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"AA","authenticatorData":"AA","signature":"AA","userHandle":"gA"}}',
        '{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"AA","attestationObject":"oA"}}',
        '{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"v2Zm"}}',
    ],
)
async def test_nonsense_is_no_passkey(door: FakeDoor, response: str) -> None:
    ana = await with_passkey(door, await door.person("ana"), FakeAuthenticator())
    party = door.open.relying_party
    assert party is not None

    assert owner_of(response) is None
    assert party.used(ana, response, b"c") is None
    assert party.registered(response, b"c", "key", door.clock.now()) is None
    assert await door.open.proofs.passkey(response, b"c", BROWSER, HOME, None) == NotProven()


async def test_where_the_server_is_known_by_numbers_there_are_no_passkeys() -> None:
    door = FakeDoor(base_url="http://127.0.0.1:8000")
    ana = await door.person("ana")

    assert door.open.relying_party is None
    assert await door.open.proofs.passkey("{}", b"c", BROWSER, HOME, ana.id) == NotProven()
    assert await door.open.enrolment.enrol_passkey(ana, "{}", b"c", BROWSER, "key", HOME) is None
    assert RelyingParty.at("http://[::1]:8000", "Clinic") is None
    assert RelyingParty.at("https://fhir.clinic.example/base", "Clinic") == RelyingParty(
        "fhir.clinic.example", "https://fhir.clinic.example", "Clinic"
    )


def test_a_challenge_that_is_no_base64_is_none() -> None:
    assert challenge_of("é") == b""
    assert challenge_of("AAEC") == b"\x00\x01\x02"


async def test_a_form_belongs_to_one_browser(door: FakeDoor) -> None:
    token = door.open.binding.form("one")

    assert door.another().binding.is_form(token, "one")
    assert not door.open.binding.is_form(token, "another")
    assert not door.open.binding.is_form("", "one")
    assert not door.open.binding.is_form("é\ud800", "one")
