"""What the log's tree needs from the outside. fhir_server.store implements it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from fhir_server.crypto.tree import TileId


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An event as the log holds it. `index`: its place in the tree. With `salt` its commitment can be checked."""

    index: int
    entry: bytes
    salt: bytes
    event: bytes


class LogTree(Protocol):
    async def newest(self) -> str | None:
        """The newest checkpoint, a signed note. None before the first."""
        ...

    async def signed_at(self, size: int) -> str | None:
        """The checkpoint of exactly this size, where there is one."""
        ...

    async def tiles(self, ids: Collection[TileId]) -> Mapping[TileId, bytes]:
        """Those of them that there are, each as long as it has grown."""
        ...

    async def entry(self, id: str) -> LogEntry | None:
        """The entry of the event with this id; None where it is not in the tree yet."""
        ...
