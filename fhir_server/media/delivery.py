"""Open a photo. It has no door of its own: whoever may read its Media may see it, under the same decision.

Architecture section 9: one photo, one answer. What its bytes take is fetched while it is decided and recorded that they
may leave. None of them leaves before both are done, and where either refuses, what was fetched is dropped. The key is
asked for once for an opening: who destroys it in that instant ends the next one, and a running stream at its next part.

That the epochs and the grant hold is looked at meanwhile as well, since the photo's own row names its patients. What
the decision rests on must be what was seen there, at most a moment before; else it is looked at when it is recorded.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Looked
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import Grants, Heads
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import EndedTokenError, FhirError, GoneError, NotFoundError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.photos_within import carries_photo, photo_id
from fhir_server.media.ports import LIVE, Kept, Photo, PhotoVault, Reading, Watch

_MOMENT = timedelta(milliseconds=20)
"""No longer than a look is old that is made in the log's queue, when that waits for the journal."""

T = TypeVar("T")


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
        heads: Heads,
        grants: Grants,
        watch: Watch,
    ) -> None:
        self._engine, self._vault, self._clock, self._reads = engine, vault, clock, reads
        self._heads, self._grants, self._watch = heads, grants, watch

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
        looking = _begun(self._looked(kept, call.principal.grant))
        if kept.state != LIVE:
            await self._readable(call, kept, looking)
            raise GoneError("The photo was destroyed.")
        fetching = _begun(_fetched(kept, whole=whole))
        try:
            media = await self._readable(call, kept, looking)
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

    async def _looked(self, kept: Kept, grant: str) -> Looked:
        since = self._clock.now()
        heads, ended = await asyncio.gather(
            self._heads.heads(kept.subjects), self._grants.ended([grant] if grant else [])
        )
        return Looked({head.patient: head.epoch for head in heads.values()}, "" if ended else grant, since)

    async def _readable(self, call: Call, kept: Kept, looking: Awaitable[Looked]) -> Stored:
        """As reading the Media is decided and recorded."""
        media = replace(call, type=kept.owner.type, id=kept.owner.id)

        async def once(attempt: Attempt) -> Stored:
            await self._engine.steps.admit(media)
            seen = await self._engine.look(media)
            looked = await looking
            media.trace.looked = looked if self._clock.now() - looked.since <= _MOMENT else None
            attempt.disclosed.append(seen)
            return seen

        try:
            return await disclosing(self._engine.steps, media, once)
        finally:
            # Whatever else the call still records is recorded later, and looks for itself.
            media.trace.looked = None

    def stream(self, call: Call, opened: Opened, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes, decided again before each further part: a withdrawal or a revocation cuts a running stream."""
        return self._decided(call, opened, start, stop)

    async def _decided(self, call: Call, opened: Opened, start: int, stop: int) -> AsyncIterator[bytes]:
        async with aclosing(_parts(opened, start, stop)) as parts:
            coming = _begun(_next(parts))
            try:
                while part := await coming:
                    start += len(part)
                    yield part
                    if start >= stop:
                        return
                    coming = _begun(_next(parts))
                    await self._still(call, opened.photo.owner)
            finally:
                await _ended(coming)

    async def _still(self, call: Call, owner: ResourceKey) -> None:
        """Raises what reading the Media now would, and EndedTokenError."""
        again = replace(call, type=owner.type, id=owner.id, instant=self._clock.now())
        again.trace.forget()
        grants = [call.principal.grant] if call.principal.grant else []
        _, ended = await asyncio.gather(self._engine.look(again), self._grants.ended(grants))
        if ended:
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


async def _parts(opened: Opened, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    if first := opened.first[start:stop]:
        yield first
    async with aclosing(opened.reading.bytes(start + len(first), stop)) as parts:
        async for part in parts:
            yield part


async def _next(parts: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(parts, b"")


def _begun(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Under way; where it is not waited for, its failure is nobody's."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


async def _ended(task: "asyncio.Task[bytes]") -> None:
    """Called off, and over: what it reads from can be closed."""
    task.cancel()
    await asyncio.wait([task])
