"""One-time codes by time, and recovery codes."""

import secrets
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from fhir_server.smart.signin import totp
from fhir_server.smart.signin.recovery import COUNT, Recovery
from fhir_server.smart.signin.users import Totp
from tests.fakes.clock import NOW
from tests.fakes.door import QUICK

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""RFC 6238 appendix B."""


def code(steps: int = 0, secret: str = SECRET) -> str:
    return pyotp.TOTP(secret).at(NOW + timedelta(seconds=30 * steps))


def test_rfc_6238_appendix_b_last_six_digits() -> None:
    for second, digits in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert totp.enrolled(SECRET, digits, datetime.fromtimestamp(second, UTC)) is not None


def test_what_an_app_with_the_secret_shows_is_good() -> None:
    assert totp.used(Totp(SECRET, NOW, 0), totp.code(SECRET, NOW), NOW) is not None


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_is_good_one_step_around_now(steps: int) -> None:
    assert totp.used(Totp(SECRET, NOW, 0), code(steps), NOW) is not None


@pytest.mark.parametrize("steps", [-3, -2, 2, 3])
def test_an_older_or_later_code_is_not(steps: int) -> None:
    assert totp.used(Totp(SECRET, NOW, 0), code(steps), NOW) is None


def test_a_code_is_good_once_and_so_are_all_before_it() -> None:
    factor = totp.used(Totp(SECRET, NOW, 0), code(), NOW)
    assert factor is not None

    assert totp.used(factor, code(), NOW) is None
    assert totp.used(factor, code(-1), NOW) is None
    assert totp.used(factor, code(1), NOW) is not None


def test_the_code_that_enrolled_is_used_up() -> None:
    factor = totp.enrolled(SECRET, code(), NOW)
    assert factor is not None

    assert totp.used(factor, code(), NOW) is None


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-12345", "123456\x00", "0x1234"])
def test_what_is_no_code_is_refused(typed: str) -> None:
    assert totp.used(Totp(SECRET, NOW, 0), typed, NOW) is None
    assert totp.enrolled(SECRET, typed, NOW) is None


def test_spaces_are_no_matter() -> None:
    typed = code()

    assert totp.used(Totp(SECRET, NOW, 0), f" {typed[:3]} {typed[3:]} ", NOW) is not None


def test_a_new_secret_has_160_bits_and_an_address_for_apps() -> None:
    secret = totp.new_secret()
    found = urlsplit(totp.address(secret, "ana.lopez", "Clinic Ü"))

    assert len(secret) == 32
    assert secret != totp.new_secret()
    assert (found.scheme, found.netloc) == ("otpauth", "totp")
    assert parse_qs(found.query) == {"secret": [secret], "issuer": ["Clinic Ü"]}
    assert totp.readable(secret).replace(" ", "") == secret


@pytest.mark.anyio
async def test_each_recovery_code_is_good_once() -> None:
    recovery = Recovery(QUICK, secrets.token_bytes)
    codes, kept = await recovery.fresh()
    assert len(set(codes)) == len(kept.hashes) == COUNT

    left = await recovery.used(kept, codes[3].upper().replace("-", " "))

    assert left is not None
    assert len(left.hashes) == COUNT - 1
    assert await recovery.used(left, codes[3]) is None
    assert await recovery.used(left, codes[4]) is not None


@pytest.mark.anyio
async def test_a_recovery_code_stands_nowhere_in_what_is_kept() -> None:
    codes, kept = await Recovery(QUICK, secrets.token_bytes).fresh()

    assert not [code for code in codes if code.replace("-", "").encode() in b"".join(kept.hashes)]
    assert codes[0] not in repr(kept)


@pytest.mark.anyio
@pytest.mark.parametrize("typed", ["", "aaaa", "aaaa-aaaa-aaaa-aaaa", "0000-0000-0000-0000", "é" * 16, "a" * 5000])
async def test_what_was_not_given_out_is_refused(typed: str) -> None:
    recovery = Recovery(QUICK, secrets.token_bytes)

    assert await recovery.used((await recovery.fresh())[1], typed) is None
