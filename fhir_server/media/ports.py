"""Where sealed photos live. fhir_server.store.photos implements it."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhir_server.kernel.identity import ResourceKey

PENDING, LIVE, CONDEMNED, DESTROYED = "pending", "live", "condemned", "destroyed"


@dataclass(frozen=True, slots=True)
class Photo:
    """One rendition. `owner` is the resource that carries it; `key` the id of the one key that opens it.

    `since` is when it came into its state, `reason` why it was destroyed (a versioned reference).
    """

    id: str
    owner: ResourceKey
    subjects: tuple[str, ...]
    state: str
    media_type: str
    length: int
    key: bytes
    salt: bytes
    since: datetime
    reason: str = ""


class PhotoVault(Protocol):
    async def put(self, data: bytes, media_type: str, owner: ResourceKey, subjects: tuple[str, ...]) -> Photo:
        """Seal under a fresh key and keep as *pending*: a commit must make it live, or it is swept."""
        ...

    async def find(self, photo_id: str) -> Photo | None:
        """Its particulars, in whatever state it is."""
        ...

    async def of_patient(self, patient: str, states: Collection[str]) -> list[Photo]: ...

    def stream(self, photo: Photo, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `stop`. Raises GoneError once the key is destroyed."""
        ...

    async def condemn(self, photo: Photo) -> None:
        """For one that no commit can condemn: its Media is gone already."""
        ...

    async def destroy(self, photo: Photo, reason: str) -> None:
        """Key first, then ciphertext, then try to open it: raises where that still works. Safe to repeat."""
        ...
