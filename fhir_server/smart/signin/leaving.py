"""A person leaves: everything by which they could come in ends, and what they had in hand goes to somebody else.

Issue "SMART on FHIR": `users leave A --to B`. What they wrote stays theirs: no author is changed. Safe to run again
after a fault: what is done is found done.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.smart.signin.devices import KnownDevices
from fhir_server.smart.signin.enrolment import changed
from fhir_server.smart.signin.factor_reset import ResetRequests
from fhir_server.smart.signin.ports import Users
from fhir_server.smart.signin.sessions import Ended, Sessions
from fhir_server.smart.signin.users import State, User


@dataclass(frozen=True, slots=True)
class HandedOver:
    """How many resources changed hands."""

    care_teams: int
    tasks: int


class HandOver(Protocol):
    async def hand_over(self, from_: str, to: str) -> HandedOver:
        """Memberships of care teams and tasks that are not finished, from one reference to another."""
        ...


@dataclass(frozen=True, slots=True)
class Leaving:
    users: Users
    sessions: Sessions
    devices: KnownDevices
    requests: ResetRequests
    hand_over: HandOver

    async def leave(self, user: User, to: User) -> HandedOver:
        """Access ends first: whatever fails after it, they are out."""
        if user.id == to.id or not to.active:
            raise InvalidRequestError("What is in hand goes to somebody else who is active.")
        if user.fhir_user and to.fhir_user is None:
            raise InvalidRequestError("Whoever takes over needs a fhirUser.")
        left = await changed(self.users, user.id, _emptied)
        await self.sessions.end_user(user.id, Ended.LEFT)
        await self.devices.forget(user.id)
        await self.requests.forget(user.id)
        if left.fhir_user is None or to.fhir_user is None:
            return HandedOver(0, 0)
        return await self.hand_over.hand_over(left.fhir_user, to.fhir_user)


def _emptied(user: User) -> User:
    return replace(user.without_second_factor(), state=State.LEFT, password=None)
