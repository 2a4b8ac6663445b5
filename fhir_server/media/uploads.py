"""Bytes for a Media that waits for them: at once, or in pieces that can be resumed.

Architecture section 9; draft-ietf-httpbis-resumable-upload-09. The legal basis is asked for before a byte is kept, and
again with the commit; what is refused leaves nothing behind.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

from fhir_server.engine.attempts import Attempt
from fhir_server.engine.call import Call
from fhir_server.engine.change import BlobMove, Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import (
    ConflictError,
    ContendedError,
    InvalidRequestError,
    NoLegalBasisError,
    NotFoundError,
    StaleBasisError,
    StaleVersionError,
    TooLargeError,
    UnprocessableError,
)
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.formats import LOOKED_AT
from fhir_server.media.intake import owners_of
from fhir_server.media.metadata import MOST_VIDEO_BYTES, require_size
from fhir_server.media.photos_within import carries_photo
from fhir_server.media.ports import LIVE, PENDING, PhotoVault, Upload, UploadVault
from fhir_server.media.source import Held, Source
from fhir_server.media.taking import Taking, known

MOST_UPLOAD_BYTES = MOST_VIDEO_BYTES
MOST_HELD = 8 << 20
"""What comes at once and is no longer than this never lies anywhere before it is cleaned."""
_WAITING = "preparation"


class _Allowed(NamedTuple):
    """The Media as it waits, and whose key will seal."""

    media: Stored
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is."""

    received: int
    length: int


class Uploads:
    """Each call is a write of the Media: `call` names it, and the steps decide on it."""

    def __init__(self, engine: Engine, incoming: UploadVault, vault: PhotoVault, taking: Taking) -> None:
        self._engine, self._incoming, self._vault, self._taking = engine, incoming, vault, taking

    async def is_awaited(self, key: ResourceKey) -> bool:
        """Is there a Media that waits for its bytes? Tells nothing of who may bring them."""
        media = await self._engine.store.read(key) if key.type == "Media" else None
        return media is not None and not media.deleted and _waits(media)

    async def receive(self, call: Call, declared: str, length: int | None, parts: AsyncIterator[bytes]) -> Stored:
        """All of it in one request. `length` may be left out for what is short enough to be held."""
        async with self._engine.attempt(call) as attempt:
            allowed, held = await self._while_allowing(call, parts)
            if len(held) <= MOST_HELD:
                if length not in {None, len(held)}:
                    raise InvalidRequestError("The body ended before its announced length.")
                return await self._finished(attempt, call, Held(held), declared, allowed)
            if length is None:
                raise InvalidRequestError("An upload of this size needs a Content-Length or an Upload-Length.")
            upload = await self._begun(call, allowed.owners, declared, length)
            try:
                all_parts = _joined(held, parts)
                held = b""
                upload = await self._grown(upload, all_parts)
                if not upload.is_whole:
                    raise InvalidRequestError("The body ended before its announced length.")
                source = await self._incoming.source(upload)
                return await self._finished(attempt, call, source, declared, allowed)
            finally:
                await self._incoming.abandon(upload)

    async def begin(self, call: Call, declared: str, length: int) -> Progress:
        """The first step of what comes in pieces."""
        async with self._engine.attempt(call):
            allowed = await self._allowed(call)
            return _progress(await self._begun(call, allowed.owners, declared, length))

    async def state(self, call: Call) -> Progress | Stored:
        """Where it stands; the Media itself once the photo is there."""
        async with self._engine.attempt(call):
            await self._engine.steps.admit(call)
            media = await self._engine.look(call)
            if carries_photo(media.resource):
                return media
            return _progress(await self._under_way(call))

    async def append(
        self, call: Call, offset: int, parts: AsyncIterator[bytes], *, complete: bool
    ) -> Progress | Stored:
        """Raises ConflictError where `offset` is not where the upload stands: nothing is written over."""
        async with self._engine.attempt(call) as attempt:
            upload = await self._under_way(call)
            try:
                allowed = await self._allowed(call)
                if offset != upload.received:
                    raise ConflictError(f"The upload stands at {upload.received}; go on from there.")
                upload = await self._grown(upload, parts)
                if not complete:
                    return _progress(upload)
                if not upload.is_whole:
                    raise InvalidRequestError(f"The upload stands at {upload.received}, and is not complete.")
                source = await self._incoming.source(upload)
                stored = await self._finished(attempt, call, source, upload.photo.media_type, allowed)
            except (NoLegalBasisError, TooLargeError, UnprocessableError):
                await self._incoming.abandon(upload)
                raise
            await self._incoming.abandon(upload)
            return stored

    async def cancel(self, call: Call) -> None:
        async with self._engine.attempt(call):
            await self._engine.steps.admit(call)
            await self._engine.look(call)
            await self._incoming.abandon(await self._under_way(call))

    async def _begun(self, call: Call, owners: tuple[str, ...], declared: str, length: int) -> Upload:
        if not 0 < length <= MOST_UPLOAD_BYTES:
            raise InvalidRequestError(f"An upload has 1 to {MOST_UPLOAD_BYTES} bytes.")
        return await self._incoming.begin(_key(call), owners, declared, length)

    async def _grown(self, upload: Upload, parts: AsyncIterator[bytes]) -> Upload:
        if upload.received == 0:
            parts = await _looked_at(upload, parts)
        return await self._incoming.append(upload, parts)

    async def _under_way(self, call: Call) -> Upload:
        await self._engine.steps.admit(call)
        await self._engine.look(call)
        upload = await self._incoming.find(_key(call))
        if upload is None:
            raise NotFoundError("No upload is under way for this Media.")
        return upload

    async def _while_allowing(self, call: Call, parts: AsyncIterator[bytes]) -> "tuple[_Allowed, bytes]":
        """What came while it was asked whether it may be kept; a refusal waits for none of it."""
        allowing, receiving = asyncio.create_task(self._allowed(call)), asyncio.create_task(_held(parts))
        try:
            return await asyncio.gather(allowing, receiving)
        except BaseException:
            allowing.cancel()
            receiving.cancel()
            await asyncio.wait([allowing, receiving])
            raise

    async def _allowed(self, call: Call) -> "_Allowed":
        """What the commit is asked is asked before, of a promise."""
        await self._engine.steps.admit(call)
        media = await self._engine.look(call)
        if not _waits(media):
            raise ConflictError("The Media does not wait for bytes: its status is not preparation.")
        promised = {**media.resource, "content": {**media.resource["content"], "url": "Binary/promised"}}
        change = self._change(media, promised, "promised")
        change = await self._engine.drafts.prepared(call, change)
        return _Allowed(media, owners_of(change))

    async def _finished(
        self, attempt: Attempt, call: Call, source: Source, declared: str, allowed: "_Allowed"
    ) -> Stored:
        """Cleaned, sealed, and live with the new version of its Media. What was allowed meanwhile not, aborts it."""
        known_first = [allowed]

        async def once() -> Stored:
            if known_first:
                media, owners = known_first.pop()
            else:
                call.trace.forget()
                media, owners = await self._allowed(call)
            start = await source.read(0, min(LOOKED_AT, source.size))
            known(start, source.size, str(media.resource["content"].get("contentType", "")))
            taken = await self._taking.take(source, declared, media.key, owners)
            try:
                waited = {**media.resource, "status": "completed"}
                described = taken.described_in(waited, self._taking.zone)
                change = await self._engine.drafts.prepared(call, self._change(media, described, taken.photo.id))
                return await self._engine.commit_one(attempt, change)
            except BaseException:
                await self._vault.discard(taken.photo)
                raise

        stale = (StaleBasisError, ContendedError, StaleVersionError)
        return await self._engine.courtesy.insist([str(call.key)], once, again_on=stale)

    def _change(self, media: Stored, resource: dict[str, object], photo: str) -> Change:
        change = self._engine.drafts.of(media.key, resource, media, "PATCH")
        return change.moving_blob(BlobMove(photo, PENDING, LIVE))


def _progress(upload: Upload) -> Progress:
    return Progress(upload.received, upload.photo.length)


def _waits(media: Stored) -> bool:
    return (
        media.resource.get("status") == _WAITING
        and "data" not in media.resource["content"]
        and (not carries_photo(media.resource))
    )


def _key(call: Call) -> ResourceKey:
    assert call.key is not None, "an upload is asked for at a Media's address"
    return call.key


async def _held(parts: AsyncIterator[bytes]) -> bytes:
    """All of it, or the beginning of what is longer than may be held."""
    held: list[bytes] = []
    length = 0
    async for part in parts:
        held.append(part)
        length += len(part)
        if length > MOST_HELD:
            break
    return b"".join(held)


async def _looked_at(upload: Upload, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, once their beginning is that of a photo: nothing else is kept, however large it is."""
    start = bytearray()
    async for part in parts:
        start += part
        if len(start) >= LOOKED_AT:
            break
    if start:
        require_size(upload.photo.length, known(bytes(start), upload.photo.length, upload.photo.media_type))
    return _joined(bytes(start), parts)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    first = b""  # it may be all that a client sent so far
    async for part in rest:
        yield part
