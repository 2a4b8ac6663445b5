"""Names to sign in by, and passwords: what is accepted, what is refused, what is told apart."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.signin.password_rules import Refusal, refusal
from fhir_server.smart.signin.passwords import MOST_CHARACTERS, Effort, Passwords
from fhir_server.smart.signin.usernames import normal
from tests.fakes.door import QUICK


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Ana", "ana"),
        ("  ana.lopez  ", "ana.lopez"),
        ("ANA@CLINIC.EXAMPLE", "ana@clinic.example"),
        ("josé", "josé"),
        ("jose\u0301", "josé"),
        ("\uff41\uff4e\uff41", "ana"),
        ("Straße", "strasse"),
        ("dr-7+x_y", "dr-7+x_y"),
    ],
)
def test_a_name_has_one_spelling(typed: str, name: str) -> None:
    assert normal(typed) == name


@pytest.mark.parametrize(
    "typed", ["", "a", ".ana", "ana lopez", "ana\n", "x" * 65, "x" * 10_000, "<script>", "ana\u202egro", "\ud800\ud800"]
)
def test_what_is_no_name_is_none(typed: str) -> None:
    assert normal(typed) is None or normal(typed) == typed.strip()


@given(st.text(max_size=80))
def test_a_normal_name_is_its_own_spelling(typed: str) -> None:
    name = normal(typed)

    assert name is None or normal(name) == name


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "Password1!",
        "P@ssw0rd123",
        "motdepasse2026",
        "12345678",
        "987654321",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "qwertyuiop",
        "azertyuiop",
        "iloveyou!!",
        "aesthetic2026",
        "Welcome123",
        "correcthorsebatterystaple",
        "mypasswordz",
    ],
)
def test_what_everybody_tries_is_refused(password: str) -> None:
    assert refusal(password, names=("ana.lopez",), alone=False) is Refusal.COMMON


@pytest.mark.parametrize("password", ["ana.lopez", "ANA.LOPEZ1", "ana.lopezana.lopez", "xx-ana.lopez"])
def test_the_name_itself_is_refused(password: str) -> None:
    assert refusal(password, names=("ana.lopez",), alone=False) is Refusal.NAME


def test_length_is_the_only_other_rule() -> None:
    assert refusal("gx7kq2p", names=(), alone=False) is Refusal.SHORT
    assert refusal("gx7kq2pd", names=(), alone=False) is None
    assert refusal("gx7kq2pd", names=(), alone=True) is Refusal.SHORT
    assert refusal("ein langer lindwurm", names=("bo",), alone=True) is None
    assert refusal("x1 " * 200, names=(), alone=False) is Refusal.LONG


@given(st.text(alphabet=st.characters(categories=["Ll", "Lu", "Nd"]), min_size=24, max_size=40))
def test_long_passwords_of_many_letters_pass_without_composition(password: str) -> None:
    if len(set(password.casefold())) > 15:
        assert refusal(password, names=("ana.lopez",), alone=True) is None


@pytest.mark.anyio
async def test_a_password_is_verified_by_its_hash_alone() -> None:
    passwords = Passwords(QUICK)

    hash = await passwords.hash("café au lait")

    assert hash.startswith("$argon2id$v=19$m=64,t=1,p=4$")
    assert await passwords.verify(hash, "café au lait")
    assert await passwords.verify(hash, "cafe\u0301 au lait")
    assert not await passwords.verify(hash, "cafe au lait")
    assert await passwords.hash("café au lait") != hash


@pytest.mark.anyio
async def test_without_a_hash_nothing_is_right() -> None:
    passwords = Passwords(QUICK)

    for typed in ("", "x", "x" * (MOST_CHARACTERS + 1), "\ud800"):
        assert not await passwords.verify(None, typed)
        assert not await passwords.verify(await passwords.hash("!"), typed)
    assert not await passwords.verify("no hash at all", "x")


def test_a_hash_of_other_parameters_is_outdated() -> None:
    weak, strong = Passwords(QUICK), Passwords(Effort(memory=128, passes=2))

    hash = asyncio.run(weak.hash("x"))

    assert not weak.outdated(hash)
    assert strong.outdated(hash)
    assert asyncio.run(strong.verify(hash, "x"))


@pytest.mark.anyio
async def test_who_comes_when_too_many_wait_is_told_so() -> None:
    passwords = Passwords(QUICK)
    results = await asyncio.gather(*(passwords.verify(None, "x") for _ in range(80)), return_exceptions=True)

    assert sum(isinstance(one, UnavailableError) for one in results) == 80 - 64
    assert not await passwords.verify(None, "x")
