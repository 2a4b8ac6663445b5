"""What the register needs from outside: what the server knows of itself, and to whom it gives data.

The composition root has it: only there are settings, clients and the log known together. Rows S32, S34.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fhir_server.engine.call import Principal

TREATING_TIES = "treating-ties"
"""The measure that only what somebody else wrote ties a person to a patient."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A client, or the receiver of a subscription. `types`: the resource types that it reaches; `*` for all."""

    name: str
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Measure:
    """A security measure as it is configured at this moment. `holds`: it protects as it should in production."""

    name: str
    says: str
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Log:
    """Where the log stands. `assurance`: who vouches for it. Empty texts: nothing was recorded yet."""

    checkpoint: str
    key: str
    assurance: str


class Premises(Protocol):
    async def recipients(self) -> Sequence[Recipient]: ...

    async def measures(self) -> Sequence[Measure]: ...

    async def log(self) -> Log: ...

    async def as_client(self, client: str) -> Sequence[Principal]:
        """As whom this client, or somebody who has its credentials, can ask; empty for one that is not known."""
        ...

    async def as_person(self, reference: str) -> Sequence[Principal]:
        """The same of somebody's user, one for each of their roles."""
        ...
