"""What sign-in needs from the outside. fhir_server.store implements it on MongoDB, tests/fakes in memory.

The ports of sign-ins and of devices stand beside what they keep: sessions.py, devices.py.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from fhir_server.smart.signin.lockout import Tally
from fhir_server.smart.signin.users import User


class Users(Protocol):
    async def named(self, username: str) -> User | None:
        """By the normal form of the name."""
        ...

    async def get(self, id: str) -> User | None: ...

    async def add(self, user: User) -> bool:
        """False, with nothing done, where the name is taken."""
        ...

    async def replace(self, user: User) -> User | None:
        """Over the revision that it bears; as stored, or None where somebody else wrote in between."""
        ...

    async def all(self) -> Sequence[User]:
        """By username."""
        ...


class Tallies(Protocol):
    """Counts of failures, shared by all processes."""

    async def tally(self, key: str) -> Tally | None: ...

    async def swap(self, key: str, before: Tally | None, after: Tally) -> bool:
        """False, with nothing done, where it is not `before` any more."""
        ...

    async def forget(self, key: str) -> None: ...


class Spent(Protocol):
    """What is good for one use."""

    async def spend(self, value: bytes, until: datetime) -> bool:
        """False where it was spent before, by whatever process. Remembered at least until then."""
        ...


class Witness(Protocol):
    """Records what happened at the door. Durable when it returns; raises UnavailableError, and then nothing opens."""

    async def witness(
        self,
        action: str,
        *,
        succeeded: bool,
        subject: str,
        name: str,
        fhir_user: str | None,
        address: str,
        factor: str,
    ) -> None:
        """`action` is one of the words of `witnessed.py`, `factor` says by which one somebody signed in.

        Who is not known is recorded as nobody: what was typed for a name may be a password.
        """
        ...
