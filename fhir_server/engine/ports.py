"""What the engine needs from the outside. fhir_server.store implements it on MongoDB, tests/fakes in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhir_server.engine.change import Change, LegalBasis
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Leased
from fhir_server.engine.window import Window
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.tree import Query


@dataclass(frozen=True, slots=True)
class Found:
    """Some matches in order. `position` is that of the last row looked at; None when there is nothing after it.

    `looked` counts the candidates that were opened for them.
    """

    matches: tuple[Stored, ...]
    position: Position | None
    looked: int


@dataclass(frozen=True, slots=True)
class Head:
    """A patient's head row: the epoch, and the version of each consent in force."""

    patient: str
    epoch: int
    consents: Mapping[ResourceKey, int]


@dataclass(frozen=True, slots=True)
class Present:
    """That a resource is there and not deleted: its current version, and the compartments it lies in."""

    version: int
    access: tuple[str, ...] = ()


class ResourceStore(Protocol):
    """Large data of what it gives may be Attached: fetched when it is written out, or made whole."""

    async def read(self, key: ResourceKey) -> Stored | None:
        """The current version, a deletion included. None where the key was never used."""
        ...

    async def read_many(self, keys: Collection[ResourceKey]) -> Mapping[ResourceKey, Stored]: ...

    async def read_version(self, key: ResourceKey, version: int) -> Stored | None: ...

    async def find(self, query: Query, after: Position | None, limit: int) -> Found:
        """Up to `limit` current versions after a position that satisfy every filter and every mandate, exactly."""
        ...

    async def present(self, keys: Collection[ResourceKey]) -> Mapping[ResourceKey, Present]:
        """Those of the keys that exist and are not deleted. Nothing is opened: it is what each row says of itself."""
        ...

    async def referring(self, key: ResourceKey, apart_from: Collection[str], limit: int) -> Sequence[Stored]:
        """Up to `limit` current resources of other types than these that may refer to it.

        By an element for which R4 has a search parameter; whether they do is looked at by the caller.
        """
        ...

    async def versions(
        self, types: Collection[str], id: str | None, window: Window, before: Position | None, limit: int
    ) -> list[Stored]:
        """Up to `limit` versions, deletions among them, newest first. An `id` goes with exactly one type."""
        ...

    async def commit(self, changes: Sequence[Change]) -> tuple[Stored, ...]:
        """All of it, durable, or none of it.

        Raises VersionConflictError when a `previous` is not current any more, StaleBasisError when a patient's epoch
        moved, EndedTokenError when a grant does not hold any more, UnavailableError when the outcome could not be had.
        """
        ...


class Heads(Protocol):
    async def heads(self, patients: Collection[str]) -> Mapping[str, Head]:
        """By patient; none of those whom no resource names."""
        ...


class Grants(Protocol):
    async def ended(self, ids: Collection[str]) -> Mapping[str, str]:
        """Those of them that do not hold, with the reason where one is known."""
        ...


class AuditLog(Protocol):
    async def append(self, entries: Sequence["AuditRow"]) -> None:
        """Durable when it returns.

        Raises StaleBasisError when the epoch that a basis saw has moved, EndedTokenError when a grant does not hold
        any more, UnavailableError when it cannot write.
        """
        ...


class AuditRow(Protocol):
    @property
    def bases(self) -> Collection[LegalBasis]:
        """What the disclosure that it records rested on."""
        ...

    @property
    def grant(self) -> str:
        """That of the token it was asked for with; empty where it does not rely on one."""
        ...

    def event(self, event_id: str, recorded: datetime) -> bytes: ...


class TaskQueue(Protocol):
    async def lease(self) -> Leased | None:
        """The next task that is due, held for a while by this worker."""
        ...

    async def done(self, leased: Leased) -> None: ...

    async def postpone(self, leased: Leased) -> None:
        """It failed: due again later, with growing delay."""
        ...
