"""Sign-ins: begun with a first factor, complete with the second, ended by idleness, by time, or by word.

OWASP ASVS 5 chapter 7; rows T62, T76. The browser holds a random secret, the database its hash. The secret is new
whenever the sign-in comes to mean more, so that one planted or seen before is worth nothing (session fixation).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import NewId
from fhir_server.smart.signin.binding import digest
from fhir_server.smart.signin.users import User

BEGUN_FOR = timedelta(minutes=10)
"""How long the second factor, or its enrolment, may take."""

_TOUCHED_EVERY = timedelta(seconds=30)
_MOST_REMEMBERED = 20


class Ended(StrEnum):
    """Why a sign-in ended. Tokens that hang on it are refused from that instant.

    `factor-removed`: its second factor is no proof any more (row S61: 401 insufficient_user_authentication, RFC 9470).
    """

    SIGNED_OUT = "signed-out"
    ANOTHER_PERSON = "another-person"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105  a reason, not a password
    FACTOR_REMOVED = "factor-removed"
    DISABLED = "disabled"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What this person granted a client during this sign-in; asked again it need not be shown again."""

    client_id: str
    role: str
    patient: str | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """For one authorization request: in which role, and about whom. None of it is taken from a form later on."""

    request: str
    role: str | None = None
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """`id` is stable from complete to ended and is no secret. `methods` are amr values (RFC 8176).

    `factor`: by which second factor. `request`: the authorization request under which the person last proved who they
    are. `offered`: the TOTP secret that is being enrolled.
    """

    id: str
    user: str
    complete: bool
    methods: tuple[str, ...]
    signed_in: datetime
    began: datetime
    seen: datetime
    until: datetime
    address: str
    browser: str
    factor: str = ""
    request: str | None = None
    offered: str | None = field(default=None, repr=False)
    remembered: tuple[Remembered, ...] = ()
    chosen: Chosen | None = None
    revision: int = 0


class SignIns(Protocol):
    """Kept by the hash of their secret."""

    async def add(self, sign_in: SignIn, secret: bytes) -> None: ...

    async def of_secret(self, secret: bytes) -> SignIn | None: ...

    async def get(self, id: str) -> SignIn | None: ...

    async def of_user(self, user: str) -> Sequence[SignIn]: ...

    async def replace(self, sign_in: SignIn, secret: bytes | None = None) -> SignIn | None:
        """Over the revision that it bears, under another secret where one is given; None where it moved or ended."""
        ...

    async def touch(self, id: str, seen: datetime) -> None: ...

    async def end(self, ids: Collection[str]) -> None: ...


class Dependents(Protocol):
    """What hangs on sign-ins and ends with them: grants, access tokens, refresh tokens.

    Called before the sign-in itself is ended, and again with the same ids where that failed.
    """

    async def sign_ins_ended(self, sign_ins: Collection[str], why: Ended) -> None: ...

    async def user_ended(self, user: str, why: Ended) -> None:
        """Whatever else the user ever granted, with or without a sign-in that still lives (offline_access)."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """`idle` without a look at a page, `lifetime` since the person proved who they are."""

    idle: timedelta
    lifetime: timedelta


class Sessions:
    def __init__(
        self,
        sign_ins: SignIns,
        limits: Limits,
        clock: Clock,
        new_id: NewId,
        new_secret: Callable[[], str],
        dependents: Sequence[Dependents] = (),
    ) -> None:
        self._sign_ins, self._limits, self._clock = sign_ins, limits, clock
        self._new_id, self._new_secret, self._dependents = new_id, new_secret, dependents

    async def begin(
        self, user: User, methods: Sequence[str], address: str, browser: str, factor: str = ""
    ) -> tuple[SignIn, str]:
        """After a first factor; the secret is for the browser alone."""
        now, secret = self._clock.now(), self._new_secret()
        begun = SignIn(
            id=self._new_id(),
            user=user.id,
            complete=False,
            methods=tuple(methods),
            signed_in=now,
            began=now,
            seen=now,
            until=now + BEGUN_FOR,
            address=address,
            browser=browser[:200],
            factor=factor,
        )
        await self._sign_ins.add(begun, digest(secret))
        return begun, secret

    async def complete(
        self, begun: SignIn, methods: Sequence[str], before: SignIn | None, request: str | None
    ) -> tuple[SignIn, str] | None:
        """The person proved who they are. `before` is what this browser was signed in as: renewed, or ended.

        None where what was begun ended meanwhile.
        """
        now, secret = self._clock.now(), self._new_secret()
        proven = replace(
            begun,
            complete=True,
            methods=tuple(methods),
            signed_in=now,
            seen=now,
            until=now + self._limits.lifetime,
            request=request,
            offered=None,
        )
        if before is not None and before.user == begun.user:
            again = replace(proven, id=before.id, began=before.began, revision=before.revision)
            renewed = await self._sign_ins.replace(replace(again, remembered=before.remembered), digest(secret))
            if renewed is not None:
                await self._sign_ins.end([begun.id])
                return renewed, secret
        if before is not None and before.user != begun.user:
            await self.end([before], Ended.ANOTHER_PERSON)
        completed = await self._sign_ins.replace(proven, digest(secret))
        return (completed, secret) if completed else None

    async def find(self, secret: str | None) -> SignIn | None:
        """The living sign-in of a browser; to be found is to be used."""
        if not secret:
            return None
        found = await self._sign_ins.of_secret(digest(secret))
        if found is None or not self._lives(found):
            return None
        now = self._clock.now()
        if now - found.seen >= _TOUCHED_EVERY:
            await self._sign_ins.touch(found.id, now)
        return replace(found, seen=now)

    async def live(self, id: str) -> SignIn | None:
        """A complete sign-in by its id, not counted as used: what a client does by itself keeps nobody signed in."""
        found = await self._sign_ins.get(id)
        return found if found and found.complete and self._lives(found) else None

    async def of_user(self, user: str) -> list[SignIn]:
        """The complete and living ones, latest first."""
        found = [one for one in await self._sign_ins.of_user(user) if one.complete and self._lives(one)]
        return sorted(found, key=lambda one: one.seen, reverse=True)

    async def keep(self, sign_in: SignIn) -> SignIn | None:
        """Store what changed of it."""
        return await self._sign_ins.replace(sign_in)

    async def remember(self, sign_in: SignIn, granted: Remembered) -> SignIn | None:
        others = [
            one
            for one in sign_in.remembered
            if (one.client_id, one.role, one.patient) != (granted.client_id, granted.role, granted.patient)
        ]
        return await self.keep(replace(sign_in, remembered=(*others[1 - _MOST_REMEMBERED :], granted)))

    async def end(self, sign_ins: Sequence[SignIn], why: Ended) -> None:
        """First what hangs on them: a fault in between leaves a sign-in that can be ended again."""
        ids = [one.id for one in sign_ins]
        if not ids:
            return
        for dependents in self._dependents:
            await dependents.sign_ins_ended(ids, why)
        await self._sign_ins.end(ids)

    async def end_user(self, user: str, why: Ended, *, but: SignIn | None = None) -> None:
        """All of a user's, begun ones too; with `but` one of them stays, and so does what was granted for longer."""
        found = [one for one in await self._sign_ins.of_user(user) if but is None or one.id != but.id]
        await self.end(found, why)
        if but is None:
            for dependents in self._dependents:
                await dependents.user_ended(user, why)

    def _lives(self, sign_in: SignIn) -> bool:
        now = self._clock.now()
        return now < sign_in.until and (not sign_in.complete or now - sign_in.seen < self._limits.idle)
