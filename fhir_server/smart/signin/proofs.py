"""Checks what a person offers as proof of who they are. A verdict is a value: who it is, not so, or not yet.

NIST SP 800-63B-4. A verdict and the time it takes are the same for a user who is unknown, disabled or has no password.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.signin import passkeys, totp
from fhir_server.smart.signin.attempts import Attempts
from fhir_server.smart.signin.binding import Binding
from fhir_server.smart.signin.devices import KnownDevices
from fhir_server.smart.signin.lockout import Count, for_factor, for_password
from fhir_server.smart.signin.passkeys import RelyingParty
from fhir_server.smart.signin.passwords import Passwords
from fhir_server.smart.signin.ports import Spent, Users, Witness
from fhir_server.smart.signin.recovery import Recovery
from fhir_server.smart.signin.usernames import normal
from fhir_server.smart.signin.users import User, named
from fhir_server.smart.signin.witnessed import Action, witness

SIGN_IN, ENROL = "sign-in", "enrol"
"""The purposes of a passkey's challenge: one that was asked for one is not good for the other."""

CHALLENGE_KEPT = timedelta(minutes=10)
"""Longer than a challenge is good for."""

_TRIES = 5
_NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an attempt comes from. `device` is the secret of the browser's cookie."""

    address: str
    browser: str
    device: str | None


@dataclass(frozen=True, slots=True)
class Proven:
    """`methods` are amr values (RFC 8176) of this proof alone.

    `factor` says which one it was, so that people who share a user are told apart by what each of them holds (row T75).
    """

    user: User
    methods: tuple[str, ...]
    factor: str = ""


@dataclass(frozen=True, slots=True)
class NotProven:
    """It is not said why."""


@dataclass(frozen=True, slots=True)
class TooSoon:
    """Nothing was looked at."""

    wait: timedelta


Verdict: TypeAlias = Proven | NotProven | TooSoon
_Use: TypeAlias = Callable[[User], Awaitable[User | None]]


@dataclass(frozen=True, slots=True)
class Proofs:
    users: Users
    passwords: Passwords
    recovery: Recovery
    relying_party: RelyingParty | None
    binding: Binding
    attempts: Attempts
    devices: KnownDevices
    spent: Spent
    witness: Witness
    clock: Clock

    async def password(self, username: str, password: str, place: Place) -> Verdict:
        name = normal(username)
        user = await self.users.named(name) if name else None
        device = await self.devices.name(user.id if user else _NOBODY, place.device)
        counts = for_password(name or _NOBODY, place.address, device)
        if wait := await self.attempts.begin(counts):
            return await self._refused(Action.PASSWORD, user, place, TooSoon(wait))
        kept = user.password if user and user.active else None
        # 1. Hash in any case. 2. Only then look at whether a password handed out by an operator is still good.
        same = await self.passwords.verify(kept.hash if kept else None, password)
        expired = kept is not None and kept.once_until is not None and kept.once_until <= self.clock.now()
        if user is None or kept is None or not same or expired:
            return await self._refused(Action.PASSWORD, user, place, NotProven())
        await self.attempts.succeeded(counts)
        if self.passwords.outdated(kept.hash):
            # Another write in between wins; the next sign-in does it then.
            again = replace(kept, hash=await self.passwords.hash(password))
            user = await self.users.replace(replace(user, password=again)) or user
        return Proven(user, ("pwd",))

    async def code(self, user_id: str, code: str, place: Place) -> Verdict:
        async def use(user: User) -> User | None:
            after = totp.used(user.totp, code, self.clock.now()) if user.totp else None
            return replace(user, totp=after) if after else None

        return await self._counted(Action.CODE, user_id, use, place)

    async def recovery_code(self, user_id: str, code: str, place: Place) -> Verdict:
        async def use(user: User) -> User | None:
            left = await self.recovery.used(user.recovery, code) if user.recovery else None
            return replace(user, recovery=left) if left else None

        return await self._counted(Action.RECOVERY_CODE, user_id, use, place)

    async def passkey(self, response: str, challenge: bytes, browser: str, place: Place, of: str | None) -> Verdict:
        """`of` is the user who gave a password before; without it the passkey itself says whose it is.

        Nothing can be guessed here, so nothing is counted.
        """
        party, owner = self.relying_party, of or passkeys.owner_of(response)
        found = await self.users.get(owner) if owner else None
        if party is None or found is None or not await self._fresh(challenge, browser):
            return await self._refused(Action.PASSKEY, found, place, NotProven())

        methods: tuple[str, ...] = ()
        factor = ""

        async def use(user: User) -> User | None:
            nonlocal methods, factor
            passkey = party.used(user, response, challenge)
            if passkey is None:
                return None
            methods, factor = ("swk" if passkey.synced else "hwk", "user"), named(passkey)
            return user.with_passkey(passkey)

        used = await self._used(found.id, use)
        if used is None:
            return await self._refused(Action.PASSKEY, found, place, NotProven())
        return Proven(used, methods, factor)

    async def _fresh(self, challenge: bytes, browser: str) -> bool:
        now = self.clock.now()
        return self.binding.is_challenge(challenge, SIGN_IN, browser, now) and await self.spent.spend(
            challenge, now + CHALLENGE_KEPT
        )

    async def _counted(self, action: Action, user_id: str, use: _Use, place: Place) -> Verdict:
        device = await self.devices.name(user_id, place.device)
        counts: Sequence[Count] = for_factor(action, user_id, device)
        if wait := await self.attempts.begin(counts):
            return await self._refused(action, await self.users.get(user_id), place, TooSoon(wait))
        used = await self._used(user_id, use)
        if used is None:
            return await self._refused(action, await self.users.get(user_id), place, NotProven())
        await self.attempts.succeeded(counts)
        app = used.totp if action is Action.CODE else None
        return Proven(used, ("otp",), named(app) if app else "recovery-code")

    async def _used(self, user_id: str, use: _Use) -> User | None:
        """The user with the proof used up, stored: of two who use it at once, one finds it used."""
        for _ in range(_TRIES):
            user = await self.users.get(user_id)
            after = await use(user) if user and user.active else None
            if after is None:
                return None
            if stored := await self.users.replace(after):
                return stored
        raise UnavailableError("Too many attempts to sign in at once.")

    async def _refused(self, action: Action, user: User | None, place: Place, verdict: Verdict) -> Verdict:
        await witness(self.witness, action, user, place.address, succeeded=False)
        return verdict
