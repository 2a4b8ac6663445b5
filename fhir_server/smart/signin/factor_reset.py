"""Taking away a lost second factor: by two administrators, or where there are not two, a day after saying so.

Issue "SMART on FHIR". Else one administrator could make anybody's sign-in their own. The person is told when it is
asked for and when it is done.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import ForbiddenError, InvalidRequestError
from fhir_server.smart.signin.administration import Messenger, Told
from fhir_server.smart.signin.devices import KnownDevices
from fhir_server.smart.signin.enrolment import changed
from fhir_server.smart.signin.ports import Users
from fhir_server.smart.signin.sessions import Ended, Sessions
from fhir_server.smart.signin.users import User

ALONE_AFTER = timedelta(hours=24)
ASKED_FOR = timedelta(days=7)
"""A request that nobody completed is forgotten."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The first administrator's word."""

    user: str
    by: str
    at: datetime


class ResetRequests(Protocol):
    """At most one per user."""

    async def asked(self, user: str) -> Asked | None: ...

    async def ask(self, asked: Asked) -> None:
        """In the place of an older one."""
        ...

    async def forget(self, user: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Done:
    """The factor is gone; the next sign-in enrols another."""


@dataclass(frozen=True, slots=True)
class WaitsForSecond:
    """Another administrator has to say the same."""


@dataclass(frozen=True, slots=True)
class WaitsUntil:
    """There is no other administrator: to be said again from this instant on."""

    instant: datetime


Outcome: TypeAlias = Done | WaitsForSecond | WaitsUntil


@dataclass(frozen=True, slots=True)
class FactorReset:
    users: Users
    sessions: Sessions
    devices: KnownDevices
    requests: ResetRequests
    messenger: Messenger
    clock: Clock

    async def reset(self, user: User, by: User) -> Outcome:
        """`by` proved who they are just now."""
        if not by.active or "administrator" not in by.roles:
            raise ForbiddenError("Only an administrator resets a factor.")
        if not user.has_second_factor:
            raise InvalidRequestError("This user has no second factor.")
        if not user.is_guarded:
            return await self._carry_out(user)
        now = self.clock.now()
        asked = await self.requests.asked(user.id)
        if asked is None or now - asked.at >= ASKED_FOR:
            return await self._ask(user, by, now)
        if asked.by != by.id:
            # Whoever asked must still be one who may.
            first = await self.users.get(asked.by)
            if first is None or not _may(first):
                return await self._ask(user, by, now)
            return await self._carry_out(user)
        return await self._outcome(user, asked, now)

    async def _ask(self, user: User, by: User, now: datetime) -> Outcome:
        asked = Asked(user.id, by.id, now)
        await self.requests.ask(asked)
        await self._tell(user, Told.FACTOR_RESET_ASKED, now)
        return await self._outcome(user, asked, now)

    async def _outcome(self, user: User, asked: Asked, now: datetime) -> Outcome:
        """What one administrator's word alone is worth."""
        others = [one for one in await self.users.all() if _may(one) and one.id not in {user.id, asked.by}]
        if others:
            return WaitsForSecond()
        until = asked.at + ALONE_AFTER
        return await self._carry_out(user) if now >= until else WaitsUntil(until)

    async def _carry_out(self, user: User) -> Done:
        await changed(self.users, user.id, lambda one: one.without_second_factor())
        await self.sessions.end_user(user.id, Ended.FACTOR_REMOVED)
        await self.devices.forget(user.id)
        await self.requests.forget(user.id)
        await self._tell(user, Told.FACTOR_RESET, self.clock.now())
        return Done()

    async def _tell(self, user: User, what: Told, now: datetime) -> None:
        await changed(self.users, user.id, lambda one: one.noticing(what, now))
        await self.messenger.tell(user, what, now)


def _may(user: User) -> bool:
    """An administrator who can prove it: one without a second factor gets no further than their own enrolment."""
    return user.active and "administrator" in user.roles and user.has_second_factor
