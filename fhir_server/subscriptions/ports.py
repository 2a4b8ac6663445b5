"""What subscriptions need from the outside: what changed, rows of their own, and a way to their endpoints.

`fhir_server.store` implements the first two on MongoDB, `fhir_server.outbound` the last.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from fhir_server.engine.call import Principal
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey


class Place(NamedTuple):
    """A version, in the order in which versions were made; not opened."""

    seq: int
    key: ResourceKey
    version: int
    deleted: bool = False


class Event(NamedTuple):
    """Something that a subscriber is told of. Numbers rise within a subscription."""

    number: int
    key: ResourceKey
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a subscription is. `settled`: up to this seq nothing is looked at again. `due`: of the next try.

    `begin`: the seq after which it is told of anything; None while it is off. `told` is the last event's number that
    needs no telling any more.
    """

    begin: int | None = None
    settled: int = 0
    told: int = 0
    failures: int = 0
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One request to an endpoint."""

    method: str
    url: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


class Changes(Protocol):
    async def current(self, type: str) -> Mapping[str, int]:
        """The version of each resource of a type that is there, by id."""
        ...

    async def since(self, type: str, seq: int, after: Place | None, limit: int) -> Sequence[Place]:
        """Versions made after `seq`, the oldest first, deletions among them; the next ones after a place."""
        ...

    async def open(self, places: Collection[Place]) -> Mapping[Place, Stored]:
        """Those of them that are still to be had."""
        ...


class Progresses(Protocol):
    async def lead(self, who: str, now: datetime, until: datetime) -> bool:
        """True for one at a time, until then: whoever else asks is told no."""
        ...

    async def get(self, id: str) -> Progress | None: ...

    async def save(self, id: str, progress: Progress) -> None: ...

    async def forget(self, id: str) -> None:
        """Progress and events."""
        ...

    async def add(self, id: str, places: Sequence[Place], at: datetime) -> None:
        """Number those that have no number yet, in this order."""
        ...

    async def events(self, id: str, after: int, limit: int) -> Sequence[Event]:
        """Those with higher numbers, in order."""
        ...


class Hook(Protocol):
    def may(self, url: str) -> bool:
        """Could this be an endpoint?"""
        ...

    def line(self) -> AbstractAsyncContextManager[Callable[[Notice], Awaitable[bool]]]:
        """Sends to one endpoint, one after the other, as long as it is open: True for what is answered with success."""
        ...


class Standing(Protocol):
    async def __call__(self, holder: Principal) -> Principal | None:
        """As its registration lets it act now; None where it may not any more."""
        ...
