"""Open a photo. It has no door of its own: whoever may read its Media may see it, under the same decision.

Architecture section 9: one photo, one answer. What its bytes take is fetched while it is decided and recorded that they
may leave. None of them leaves before both are done, and where either refuses, what was fetched is dropped. The key is
asked for once for an opening: who destroys it in that instant ends the next one, and a running stream at its next part.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import Grants
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import EndedTokenError, FhirError, GoneError, NotFoundError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.photos_within import carries_photo, photo_id
from fhir_server.media.ports import LIVE, Kept, Photo, PhotoVault, Reading, Watch


@dataclass(frozen=True, slots=True)
class Opened:
    """A photo that may leave now; `first` is what of its beginning was fetched already."""

    media: Stored
    reading: Reading
    first: bytes = b""

    @property
    def photo(self) -> Photo:
        return self.reading.photo


class Delivery:
    """`reads(call, type)`: does a scope let the caller read that type at all? `watch` may stop what would leave."""

    def __init__(
        self,
        engine: Engine,
        vault: PhotoVault,
        clock: Clock,
        reads: Callable[[Call, str], bool],
        grants: Grants,
        watch: Watch,
    ) -> None:
        self._watch = watch
        self._engine, self._vault, self._clock, self._reads, self._grants = engine, vault, clock, reads, grants

    async def open(self, call: Call, *, whole: bool = False) -> Opened | None:
        """The decision on `GET Binary/[id]`, recorded. None where the id is not a photo's: then it is a plain Binary.

        `whole`: its bytes are wanted from the first on. Raises as reading the Media would, and GoneError once the key
        is destroyed.
        """
        kept = await self._vault.look(str(call.id))
        binaries, media_too = self._reads(call, "Binary"), self._reads(call, "Media")
        if not (binaries or media_too) or (kept is None and binaries):
            return None
        if kept is None or not media_too:
            # Who may read one of the two types, or none, learns by no other answer whether an id is a photo's.
            failure = NotFoundError("There is no resource with this id.")
            await self._engine.refused(call, failure)
            raise failure
        if kept.state != LIVE:
            await self._readable(call, kept)
            raise GoneError("The photo was destroyed.")
        fetching = asyncio.create_task(_fetched(kept, whole=whole))
        # Where it is not waited for, its own failure is nobody's.
        fetching.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            media = await self._readable(call, kept)
            _require_carried(media, kept)
            await self._watch.opened(call, media)
        except BaseException:
            fetching.cancel()
            raise
        try:
            return Opened(media, *await fetching)
        except FhirError as failure:
            await self._engine.refused(call, failure)
            raise

    async def _readable(self, call: Call, kept: Kept) -> Stored:
        return await self._engine.read(replace(call, type=kept.owner.type, id=kept.owner.id))

    def stream(self, call: Call, opened: Opened, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes, decided again before each further part: a withdrawal or a revocation cuts a running stream."""
        return self._decided(call, opened, start, stop)

    async def _decided(self, call: Call, opened: Opened, start: int, stop: int) -> AsyncIterator[bytes]:
        owner: ResourceKey = opened.photo.owner
        async for part in _parts(opened, start, stop):
            yield part
            start += len(part)
            if start >= stop:
                return
            again = replace(call, type=owner.type, id=owner.id, instant=self._clock.now())
            again.trace.forget()
            await self._engine.look(again)
            if call.principal.grant and await self._grants.ended([call.principal.grant]):
                raise EndedTokenError


def _require_carried(media: Stored, kept: Kept) -> None:
    if not carries_photo(media.resource) or photo_id(media.resource) != kept.id:
        raise NotFoundError("No such Binary.")


async def _fetched(kept: Kept, *, whole: bool) -> tuple[Reading, bytes]:
    """What is read through, and where all of it is wanted its first part."""
    reading = await kept.reading()
    if not whole:
        return reading, b""
    async with aclosing(reading.bytes(0, reading.photo.length)) as parts:
        return reading, await anext(parts, b"")


async def _parts(opened: Opened, start: int, stop: int) -> AsyncIterator[bytes]:
    if first := opened.first[start:stop]:
        yield first
    async for part in opened.reading.bytes(start + len(first), stop):
        yield part
