"""Where sealed photos live, which fhir_server.store.photos implements; and by which channel a patient is reached."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhir_server.engine.call import Call
from fhir_server.engine.change import LegalBasis
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.source import Source

PENDING, LIVE, CONDEMNED, DESTROYED = "pending", "live", "condemned", "destroyed"
INCOMING = "incoming"
"""Of bytes that are still on their way and were not looked at: they never become live themselves."""


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


@dataclass(frozen=True, slots=True)
class Reading:
    """A photo whose key was asked for. `bytes(start, stop)` gives them; it raises GoneError where they are deleted."""

    photo: Photo
    bytes: Callable[[int, int], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A photo as far as it is told without its key. `reading` asks for that, once; GoneError where it is destroyed."""

    id: str
    owner: ResourceKey
    subjects: tuple[str, ...]
    state: str
    reading: Callable[[], Awaitable[Reading]]


WITHIN = "within-"
"""So begins the id of what has no bytes of its own: pictures that stood in a resource."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes on their way. `photo.length` is what was announced, `photo.media_type` what they are said to be."""

    photo: Photo
    received: int

    @property
    def is_whole(self) -> bool:
        return self.received == self.photo.length


class PhotoVault(Protocol):
    async def put(self, data: bytes, media_type: str, owner: ResourceKey, subjects: tuple[str, ...]) -> Photo:
        """Seal under a fresh key and keep as *pending*: a commit must make it live, or it is swept."""
        ...

    async def pour(
        self, parts: AsyncIterator[bytes], length: int, media_type: str, owner: ResourceKey, subjects: tuple[str, ...]
    ) -> Photo:
        """The same of bytes that come in parts, `length` of them. What raises on the way leaves nothing behind."""
        ...

    async def find(self, photo_id: str) -> Photo | None:
        """Its particulars, in whatever state it is."""
        ...

    async def look(self, photo_id: str) -> Kept | None:
        """For one opening of it."""
        ...

    async def of_patient(self, patient: str, states: Collection[str]) -> list[Photo]: ...

    def stream(self, photo: Photo, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `stop`. Raises GoneError once the key is destroyed."""
        ...

    async def condemn(self, photo: Photo) -> None:
        """For one that no commit can condemn: its Media is gone already."""
        ...

    async def condemn_within(self, owner: ResourceKey, subjects: tuple[str, ...], key: bytes) -> None:
        """What stood in a resource itself, under this key, and is to be destroyed with it. Safe to repeat."""
        ...

    async def discard(self, photo: Photo) -> None:
        """Of a *pending* one that no commit will make live: nothing is left of it. A live one stays."""
        ...

    async def destroy(self, photos: Sequence[Photo], reason: str) -> None:
        """Keys first, then ciphertext, then try to open them: raises where that still works. Safe to repeat."""
        ...


class UploadVault(Protocol):
    """At most one upload for each Media. What rests for an hour is swept."""

    async def begin(self, owner: ResourceKey, subjects: tuple[str, ...], media_type: str, length: int) -> Upload:
        """A new one, under a key and a salt of its own; an earlier one of the same Media is abandoned."""
        ...

    async def find(self, owner: ResourceKey) -> Upload | None: ...

    async def append(self, upload: Upload, parts: AsyncIterator[bytes]) -> Upload:
        """Bytes from where it stands on. It stands on a multiple of 256 KiB, or at the end: the rest is dropped.

        Raises ConflictError where somebody else goes on with it, or other bytes came for the same place before, and
        InvalidRequestError for more than was announced.
        """
        ...

    async def source(self, upload: Upload) -> Source:
        """The bytes of a whole one."""
        ...

    async def abandon(self, upload: Upload) -> None:
        """Destroy the key, then the bytes."""
        ...


class Watch(Protocol):
    async def opened(self, call: Call, media: Stored) -> None:
        """The bytes of this Media may leave. Raises TooManyRequestsError where that is one too many."""
        ...


class Versions(Protocol):
    async def purge(self, key: ResourceKey) -> None:
        """Take away every earlier version of a deleted resource. That it was deleted stays known."""
        ...


class Contact(Protocol):
    async def basis(self, call: Call, patient: str, channel: str) -> LegalBasis:
        """On what this patient may be written to by this channel. Raises NoLegalBasisError."""
        ...
