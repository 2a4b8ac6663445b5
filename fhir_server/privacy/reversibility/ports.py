"""What an archive of everything is made of, and where it goes; fhir_server.store implements both.

HDS certification referential (2024), requirement 27.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from fhir_server.engine.ports import Head
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import Photo


@dataclass(frozen=True, slots=True)
class Parts:
    """`length` bytes."""

    length: int
    bytes: AsyncIterator[bytes]


class Everything(Protocol):
    """Whatever a clinic stores, past every rule: only for who decided before that the caller may have it all."""

    def versions(self, until: int) -> AsyncIterator[Sequence[Stored]]:
        """Every version whose seq is not greater, sorted by type, id and version; some at a time. Not the log."""
        ...

    def photos(self, until: int) -> AsyncIterator[Photo]:
        """The live ones that were live by then, sorted by id."""
        ...

    def bytes_of(self, photo: Photo) -> AsyncIterator[bytes]: ...

    def heads(self) -> AsyncIterator[Sequence[Head]]:
        """Which consents of each patient are in force, some patients at a time."""
        ...

    async def unfinished(self) -> int:
        """How many withdrawals, erasures and reassignments the worker has not ended."""
        ...


class Arriving(Protocol):
    """Photos that come with a migration."""

    async def find(self, photo_id: str) -> Photo | None: ...

    def stream(self, photo: Photo, start: int, stop: int) -> AsyncIterator[bytes]: ...

    async def arrive(
        self, photo_id: str, owner: ResourceKey, subjects: tuple[str, ...], media_type: str, parts: Parts
    ) -> None:
        """Sealed under a fresh key and live, under the id that it had. What was left of an earlier try goes."""
        ...
