"""Taking bytes in: recognised, cleaned, sealed as *pending*, and what the Media says of them afterwards.

Architecture section 9. https://hl7.org/fhir/R4/datatypes.html#Attachment: `hash` is SHA-1; SHA-256 of the stored and of
the received bytes stands beside it, so that a camera learns that what it sent arrived.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.facts import Facts
from fhir_server.media.formats import HEIC, JPEG, LOOKED_AT, MP4, OBJ, QUICKTIME, STL, Format, recognise
from fhir_server.media.metadata import cleaned
from fhir_server.media.ports import Photo, PhotoVault
from fhir_server.media.source import WINDOW, Source, carried_out, length_of
from fhir_server.media.vocabulary import RECEIVED, SHA_256

_OTHER_NAMES: Mapping[str, Format] = {
    "image/jpg": JPEG,
    "image/pjpeg": JPEG,
    "image/heif": HEIC,
    "video/x-m4v": MP4,
    "video/mov": QUICKTIME,
    "model/x.stl-binary": STL,
    "model/x.stl-ascii": STL,
    "application/sla": STL,
    "application/vnd.ms-pki.stl": STL,
    "text/prs.wavefront-obj": OBJ,
}
_DIGESTED_AT_ONCE = 8 * WINDOW
"""Most photos are shorter: each pause would wait for the interpreter, which a cleaner holds for milliseconds."""
_ANYTHING = frozenset({"", "application/octet-stream"})


@dataclass(frozen=True, slots=True)
class Taken:
    """A photo that waits for its commit. Digests are SHA-256, `sha1` is R4's."""

    photo: Photo
    facts: Facts
    received: bytes
    stored: bytes
    sha1: bytes

    def described_in(self, media: Json, zone: tzinfo) -> Json:
        """The Media as it stands once the bytes have left it."""
        kept = {name: value for name, value in media["content"].items() if name not in {"data", "_data"}}
        others = [one for one in kept.get("extension", []) if one.get("url") not in {SHA_256, RECEIVED}]
        digests = [_digest(SHA_256, self.stored), _digest(RECEIVED, self.received)]
        content = {
            **kept,
            "extension": [*others, *digests],
            "contentType": self.photo.media_type,
            "url": f"Binary/{self.photo.id}",
            "size": self.photo.length,
            "hash": _text(self.sha1),
        }
        return self.facts.moved_into({**media, "content": content}, zone)


class Taking:
    """`zone`: in which a camera's clock runs that names none."""

    def __init__(self, vault: PhotoVault, zone: tzinfo = UTC) -> None:
        self._vault, self.zone = vault, zone

    async def take(self, source: Source, declared: str, owner: ResourceKey, subjects: tuple[str, ...]) -> Taken:
        """Raises UnprocessableError, or TooLargeError, before anything is kept."""
        found = known(await source.read(0, min(LOOKED_AT, source.size)), source.size, declared)
        digesting = asyncio.create_task(_digested(source))
        try:
            done = await cleaned(source, found)
        except BaseException:
            digesting.cancel()
            raise
        received = await digesting
        passing = _Passing(carried_out(source, done.plan))
        length = length_of(done.plan)
        photo = await self._vault.pour(passing.parts(), length, found.media_type, owner, subjects)
        stored, sha1 = await passing.digests()
        return Taken(photo, done.facts, received, stored, sha1)


def known(start: bytes, size: int, declared: str) -> Format:
    """The format that bytes begin like, where it is one that can be kept and that they were declared as."""
    found = recognise(start, size)
    if found is None or not found.is_photo:
        raise UnprocessableError("The bytes are no image format that is known here.", expression="Media.content.data")
    if not found.cleanable:
        raise UnprocessableError(
            f"{found.media_type} cannot be freed of its metadata; send JPEG, PNG, WebP, GIF, HEIC, DICOM, STL, OBJ, "
            "GLB, MP4 or QuickTime.",
            expression="Media.content.data",
        )
    named = declared.partition(";")[0].strip().casefold()
    meant = _OTHER_NAMES[named].media_type if named in _OTHER_NAMES else named
    if meant not in _ANYTHING and meant != found.media_type:
        raise UnprocessableError(
            f"The bytes are {found.media_type}; the content is said to be something else.",
            expression="Media.content.contentType",
        )
    return found


class _Passing:
    """Bytes on their way, digested in a thread while they are sealed and stored: a part is, while the next one goes."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts
        self._sha256, self._sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        self._digesting: Awaitable[None] | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        async for part in self._parts:
            await self._digested()
            self._digesting = asyncio.create_task(asyncio.to_thread(self._digest, part))
            yield part

    async def digests(self) -> tuple[bytes, bytes]:
        """SHA-256 and SHA-1 of all that went by."""
        await self._digested()
        return self._sha256.digest(), self._sha1.digest()

    async def _digested(self) -> None:
        if self._digesting is not None:
            await self._digesting

    def _digest(self, part: bytes) -> None:
        self._sha256.update(part)
        self._sha1.update(part)


async def _digested(source: Source) -> bytes:
    digest = hashlib.sha256()
    for start in range(0, source.size, _DIGESTED_AT_ONCE):
        stretch = await source.read(start, min(start + _DIGESTED_AT_ONCE, source.size))
        await asyncio.to_thread(digest.update, stretch)
    return digest.digest()


def _digest(url: str, digest: bytes) -> dict[str, Any]:
    return {"url": url, "valueBase64Binary": _text(digest)}


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
