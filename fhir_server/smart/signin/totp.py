"""One-time codes by time: a new secret, what an authenticator app scans, and whether a code is good now and unused.

RFC 6238; one step of 30 s before and after is allowed for clocks that differ (section 5.2), and no code twice.
"""

import hmac
import re
from datetime import datetime

import pyotp

from fhir_server.smart.signin.users import Totp

_STEP = 30
_DIGITS = re.compile(r"[0-9]{6}", re.ASCII)


def new_secret() -> str:
    """160 bits in base32 (RFC 4226 section 4 recommends as many)."""
    return pyotp.random_base32()


def address(secret: str, username: str, issuer: str) -> str:
    """The otpauth:// URI that a QR code carries."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)


def code(secret: str, now: datetime) -> str:
    """What an app with this secret shows now."""
    return pyotp.TOTP(secret).at(now)


def readable(secret: str) -> str:
    """In groups of four, for who types it."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def enrolled(secret: str, typed: str, now: datetime) -> Totp | None:
    """The factor, once its first code proves that an app has the secret."""
    step = _step_of(secret, typed, now, after=-1)
    return None if step is None else Totp(secret, now, step)


def used(totp: Totp, typed: str, now: datetime) -> Totp | None:
    """The factor after this code, which it will not take again; None where the code is wrong, old or used."""
    step = _step_of(totp.secret, typed, now, after=totp.last_step)
    return None if step is None else Totp(totp.secret, totp.since, step)


def _step_of(secret: str, text: str, now: datetime, *, after: int) -> int | None:
    """The step whose code it is. Every candidate is compared, whatever the first says."""
    typed = re.sub(r"\s", "", text)
    if not _DIGITS.fullmatch(typed):
        return None
    present = int(now.timestamp()) // _STEP
    codes = pyotp.HOTP(secret)
    steps = [step for step in (present - 1, present, present + 1) if hmac.compare_digest(codes.at(step), typed)]
    return next((step for step in steps if step > after), None)
