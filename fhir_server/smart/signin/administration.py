"""What administrators do to users: add, disable, enable, hand out a new password, take away a lost factor.

Issue "SMART on FHIR"; row T75. Nobody but the person ever sets or sees a password that lasts.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import InvalidRequestError, NotFoundError
from fhir_server.kernel.identity import NewId, parse_reference
from fhir_server.smart.signin.devices import KnownDevices
from fhir_server.smart.signin.enrolment import changed
from fhir_server.smart.signin.passwords import Passwords
from fhir_server.smart.signin.ports import Users
from fhir_server.smart.signin.sessions import Ended, Sessions
from fhir_server.smart.signin.usernames import normal
from fhir_server.smart.signin.users import ROLES, Password, State, User

ONCE_FOR = timedelta(hours=72)
"""How long a password that was handed out waits for its person."""

_PEOPLE = frozenset({"Practitioner", "Patient", "RelatedPerson", "Person"})
_OF_ROLE = {"patient": "Patient", "related-person": "RelatedPerson"}
_ONCE_BYTES = 10
_MOST_NAME = 100


class Told(StrEnum):
    """What a user is told that others did; names the words of the notice and of the message."""

    PASSWORD_RESET = "password-reset"  # noqa: S105  a code, not a password
    FACTOR_RESET_ASKED = "factor-reset-asked"
    FACTOR_RESET = "factor-reset"


class Messenger(Protocol):
    """Carries a message to the user, beside the notice that the next sign-in shows."""

    async def tell(self, user: User, what: Told, at: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class NewUser:
    """As an administrator describes somebody. An empty `name` is the username."""

    username: str
    name: str
    roles: tuple[str, ...]
    fhir_user: str | None


@dataclass(frozen=True, slots=True)
class Administration:
    users: Users
    passwords: Passwords
    sessions: Sessions
    devices: KnownDevices
    messenger: Messenger
    clock: Clock
    new_id: NewId
    new_bytes: Callable[[int], bytes]

    async def add(self, new: NewUser) -> tuple[User, str]:
        """The user, and the password to hand over: good once, to be replaced at the first sign-in."""
        user = self.described(new)
        once, kept = await self._once()
        user = replace(user, password=kept)
        if not await self.users.add(user):
            raise InvalidRequestError("There is a user of this name already.")
        return user, once

    def described(self, new: NewUser) -> User:
        """Raises InvalidRequestError for what cannot be a user."""
        username = normal(new.username)
        if username is None:
            raise InvalidRequestError("A username has 2 to 64 letters, digits and . _ @ + -, a letter or digit first.")
        if not new.roles or set(new.roles) - set(ROLES) or len(set(new.roles)) != len(new.roles):
            raise InvalidRequestError(f"Roles are one or more, each once, of: {', '.join(ROLES)}.")
        _require_person(new.roles, new.fhir_user)
        name = " ".join(new.name.split()) or username
        if len(name) > _MOST_NAME or not name.isprintable():
            raise InvalidRequestError(f"A name has at most {_MOST_NAME} printable characters.")
        return User(self.new_id(), username, name, new.roles, new.fhir_user, self.clock.now())

    async def named(self, username: str) -> User:
        name = normal(username)
        user = await self.users.named(name) if name else None
        if user is None:
            raise NotFoundError("There is no user of this name.")
        return user

    async def all(self) -> Sequence[User]:
        return await self.users.all()

    async def disable(self, user: User) -> User:
        """May not sign in until enabled again; all that hangs on earlier sign-ins ends."""
        if user.state is State.LEFT:
            raise InvalidRequestError("This user has left.")
        disabled = await changed(self.users, user.id, lambda one: replace(one, state=State.DISABLED))
        await self.sessions.end_user(user.id, Ended.DISABLED)
        return disabled

    async def enable(self, user: User) -> User:
        if user.state is State.LEFT:
            raise InvalidRequestError("A user who left does not come back; add a new one.")
        return await changed(self.users, user.id, lambda one: replace(one, state=State.ACTIVE))

    async def reset_password(self, user: User) -> str:
        """The one to hand over. The second factor stays: whoever finds it on a desk gets no further."""
        if not user.active:
            raise InvalidRequestError("This user is not active.")
        once, kept = await self._once()
        now = self.clock.now()
        await changed(self.users, user.id, lambda one: replace(one, password=kept).noticing(Told.PASSWORD_RESET, now))
        await self.sessions.end_user(user.id, Ended.PASSWORD_CHANGED)
        await self.messenger.tell(user, Told.PASSWORD_RESET, now)
        return once

    async def _once(self) -> tuple[str, Password]:
        text = base64.b32encode(self.new_bytes(_ONCE_BYTES)).decode().lower()
        once = "-".join(text[at : at + 4] for at in range(0, len(text), 4))
        now = self.clock.now()
        return once, Password(await self.passwords.hash(once), now, now + ONCE_FOR)


def _require_person(roles: tuple[str, ...], fhir_user: str | None) -> None:
    """R-SMART-071: one of four types. A patient is that Patient, a related person that RelatedPerson."""
    key = parse_reference(fhir_user) if fhir_user else None
    if fhir_user is not None and (key is None or key.type not in _PEOPLE or "/_history/" in fhir_user):
        raise InvalidRequestError("A fhirUser is a reference such as Practitioner/3.")
    for role, type in _OF_ROLE.items():
        if role in roles and (key is None or key.type != type):
            raise InvalidRequestError(f"The role {role} needs a fhirUser that is a {type}.")
