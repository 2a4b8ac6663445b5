"""Open a photo. It has no door of its own: whoever may read its Media may see it, under the same decision.

Architecture section 9: one photo, one answer.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import Grants
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import EndedTokenError, GoneError, NotFoundError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.photos_within import carries_photo, photo_id
from fhir_server.media.ports import LIVE, Photo, PhotoVault, Watch


@dataclass(frozen=True, slots=True)
class Opened:
    """A photo that may leave now."""

    photo: Photo
    media: Stored


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

    async def open(self, call: Call) -> Opened | None:
        """The decision on `GET Binary/[id]`, recorded. None where the id is not a photo's: then it is a plain Binary.

        Raises as reading the Media would, and GoneError once the key is destroyed.
        """
        photo = await self._vault.find(str(call.id))
        binaries, media_too = self._reads(call, "Binary"), self._reads(call, "Media")
        if not (binaries or media_too) or (photo is None and binaries):
            return None
        if photo is None or not media_too:
            # Who may read one of the two types, or none, learns by no other answer whether an id is a photo's.
            failure = NotFoundError("There is no resource with this id.")
            await self._engine.refused(call, failure)
            raise failure
        media = await self._engine.read(replace(call, type=photo.owner.type, id=photo.owner.id))
        if photo.state != LIVE or not carries_photo(media.resource) or photo_id(media.resource) != photo.id:
            raise GoneError("The photo was destroyed.") if photo.state != LIVE else NotFoundError("No such Binary.")
        await self._watch.opened(call, media)
        return Opened(photo, media)

    def stream(self, call: Call, opened: Opened, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes, decided again before each further part: a withdrawal or a revocation cuts a running stream."""
        return self._decided(call, opened, start, stop)

    async def _decided(self, call: Call, opened: Opened, start: int, stop: int) -> AsyncIterator[bytes]:
        owner: ResourceKey = opened.photo.owner
        async for part in self._vault.stream(opened.photo, start, stop):
            yield part
            start += len(part)
            if start >= stop:
                return
            again = replace(call, type=owner.type, id=owner.id, instant=self._clock.now())
            again.trace.forget()
            await self._engine.look(again)
            if call.principal.grant and await self._grants.ended([call.principal.grant]):
                raise EndedTokenError
