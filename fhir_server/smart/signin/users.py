"""Who may sign in: a person with a name to sign in by, roles, and the means of proof that they hold.

Issue "SMART on FHIR"; rows S60, S61, T75: each person has a user of their own, and a token acts in one of their roles.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

ROLES = (
    "practitioner",
    "nurse",
    "receptionist",
    "marketing",
    "privacy-officer",
    "clinical-lead",
    "auditor",
    "administrator",
    "patient",
    "related-person",
)
SERVED = frozenset({"patient", "related-person"})
"""Roles of those whom the clinic serves; every other role is one of its staff."""

GUARDED = frozenset({"practitioner", "nurse", "clinical-lead", "administrator"})
"""Roles whose second factor one person alone cannot take away: the clinical ones, and the one that could do it."""

MOST_PASSKEYS = 10


class State(StrEnum):
    """`left`: for good, the name stays taken so that no later person is mistaken for this one."""

    ACTIVE = "active"
    DISABLED = "disabled"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Password:
    """`hash` is argon2's own text with its parameters. `once_until`: handed out by an operator, to be replaced."""

    hash: str = field(repr=False)
    since: datetime
    once_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Totp:
    """`secret` in base32. `last_step`: that step's code and any before it were used (RFC 6238 section 5.2)."""

    secret: str = field(repr=False)
    since: datetime
    last_step: int


@dataclass(frozen=True, slots=True)
class Passkey:
    """`count` is the authenticator's signature counter; `synced`: its key may live on several devices."""

    id: bytes
    public_key: bytes = field(repr=False)
    count: int
    label: str
    since: datetime
    synced: bool


def named(factor: Totp | Passkey) -> str:
    """A name for the log: the same for each use of one factor, another for every other, and no secret."""
    if isinstance(factor, Totp):
        return f"app/{hashlib.sha256(factor.secret.encode()).hexdigest()[:16]}"
    return f"passkey/{hashlib.sha256(factor.id).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """What is left of them, hashed with one salt."""

    salt: bytes = field(repr=False)
    hashes: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something done to this user's means of proof by others, shown at the next sign-in. `code` names the words."""

    code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """`id` is stable and tells nothing. `fhir_user` is a reference such as `Practitioner/3`.

    `revision` counts what was stored: whoever writes names the one that was read.
    """

    id: str
    username: str
    name: str
    roles: tuple[str, ...]
    fhir_user: str | None
    created: datetime
    state: State = State.ACTIVE
    password: Password | None = None
    totp: Totp | None = None
    passkeys: tuple[Passkey, ...] = ()
    recovery: RecoveryCodes | None = None
    notices: tuple[Notice, ...] = ()
    revision: int = 0

    @property
    def active(self) -> bool:
        return self.state is State.ACTIVE

    @property
    def is_staff(self) -> bool:
        """Any role of the clinic's own counts: whoever works there is held to it as a patient too."""
        return not SERVED.issuperset(self.roles)

    @property
    def is_guarded(self) -> bool:
        return not GUARDED.isdisjoint(self.roles)

    @property
    def has_second_factor(self) -> bool:
        return self.totp is not None or bool(self.passkeys)

    def passkey(self, id: bytes) -> Passkey | None:
        return next((one for one in self.passkeys if one.id == id), None)

    def with_passkey(self, passkey: Passkey) -> Self:
        """Added, or in the place of the one with the same id."""
        others = tuple(one for one in self.passkeys if one.id != passkey.id)
        return replace(self, passkeys=(*others, passkey))

    def without_second_factor(self) -> Self:
        return replace(self, totp=None, passkeys=(), recovery=None)

    def noticing(self, code: str, at: datetime) -> Self:
        return replace(self, notices=(*self.notices[-9:], Notice(code, at)))
