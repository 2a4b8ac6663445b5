"""`$reversibility-export`: all that a clinic stores, encrypted to whoever takes it over, as the controller asks.

HDS certification referential (2024), requirement 27; GDPR Art. 28(3)(g); rows S96, M22. It passes every rule about
single records by, so it stands under a purpose of its own, which the operator registers a client for; each patient of
whom something leaves has an event that says to whom, before it leaves. What can no longer be had once it began cuts the
archive off: one that ends with a manifest is whole.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.recipient import PIECE, Recipient
from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Release, Trace
from fhir_server.engine.integrity import LOG
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.clock import instant, microseconds
from fhir_server.kernel.errors import ConflictError, ForbiddenError, UnprocessableError
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.media.ports import Photo
from fhir_server.privacy.reversibility import members
from fhir_server.privacy.reversibility.lines import head_line, line_of, listed_as, picture_line
from fhir_server.privacy.reversibility.members import Manifest, file_line, file_name, member
from fhir_server.privacy.reversibility.ports import Everything
from fhir_server.privacy.reversibility.writing import Writing
from fhir_server.smart.access import may_export, sees_all
from fhir_server.smart.rights import rights_of

PURPOSE = "RECORDMGT"
"""http://terminology.hl7.org/CodeSystem/v3-ActReason, records management: the controller moves its records."""

GROUND = "GDPR Art. 28(3)(g)"
LEEWAY = timedelta(seconds=5)
"""The longest commit and the skew between two machines' clocks: what is older is there to be seen."""

_FULL = 4 * PIECE
_MOST_LINES = 1_000


@dataclass(frozen=True, slots=True)
class House:
    """Who hands over. `sign` makes a compact JWS of a manifest."""

    clinic: str
    base: str
    sign: Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class HandingOver:
    """To which Organization, and what it can open."""

    call: Call
    recipient: ResourceKey
    key: Recipient
    until: int


class Reversibility:
    """Of one clinic."""

    def __init__(self, engine: Engine, everything: Everything, new_id: NewId, house: House) -> None:
        self._engine, self._everything, self._new_id, self._house = engine, everything, new_id, house

    async def admitted(self, call: Call, recipient: ResourceKey, jwk: str) -> HandingOver:
        """Raises ForbiddenError for who may not, UnprocessableError for a recipient or a key that is none.

        Raises ConflictError while something is to be destroyed: the next host would not know of it.
        """

        async def once(attempt: Attempt) -> HandingOver:
            await self._still(call)
            found = await self._engine.store.read(recipient)
            if found is None or found.deleted:
                raise UnprocessableError("The recipient is an Organization that is here.", expression="recipient")
            if await self._everything.unfinished():
                raise ConflictError("Withdrawals or erasures are still being carried out: let the worker end them.")
            try:
                key = Recipient.of(jwk)
            except ArchiveError as error:
                raise UnprocessableError(str(error), expression="key") from None
            return HandingOver(call, recipient, key, microseconds(call.instant - LEEWAY))

        return await disclosing(self._engine.steps, call, once)

    async def archive(self, over: HandingOver) -> AsyncIterator[bytes]:
        """The bytes of a tar file."""
        writing = Writing(self._new_id(), over.key)
        yield writing.begin()
        for parts in (self._photos(over, writing), self._heads(writing), self._resources(over, writing)):
            async for part in parts:
                yield part
        async for part in writing.listed():
            yield part
        manifest = Manifest(
            writing.archive,
            self._house.clinic,
            self._house.base,
            instant(over.call.instant - LEEWAY),
            instant(over.call.instant),
            over.key.thumbprint,
            writing.versions.listed(),
            writing.photos.listed(),
            writing.files.listed(),
        )
        yield member(members.MANIFEST, self._house.sign(manifest.encode()).encode()) + members.END

    async def _still(self, call: Call) -> None:
        await self._engine.steps.admit(call)
        may = may_export(call) and rights_of(call.principal).purpose == PURPOSE
        if not may or not all(sees_all(call, type) for type in served_types() - {LOG}):
            raise ForbiddenError(f"Everything is for a service that may read it all, registered for {PURPOSE} alone.")

    async def _resources(self, over: HandingOver, writing: Writing) -> AsyncIterator[bytes]:
        number, some, size = 1, list[tuple[Stored, bytes]](), 0
        async for found in self._everything.versions(over.until):
            for stored in found:
                line = await line_of(stored)
                some.append((stored, line))
                size += len(line)
                if size >= _FULL or len(some) >= _MOST_LINES:
                    async for part in self._versions(over, writing, number, some):
                        yield part
                    number, some, size = number + 1, [], 0
        if some:
            async for part in self._versions(over, writing, number, some):
                yield part

    async def _versions(
        self, over: HandingOver, writing: Writing, number: int, some: Sequence[tuple[Stored, bytes]]
    ) -> AsyncIterator[bytes]:
        """A file of versions, and the file that lists them."""
        content = b"".join(line + b"\n" for _, line in some)
        await self._told(over, [stored for stored, _ in some], content)
        async for part in writing.whole(file_name(members.RESOURCES, number), content):
            yield part
        lines = b"".join(listed_as(stored.key, stored.version, line) + b"\n" for stored, line in some)
        writing.versions.add(lines)
        async for part in writing.whole(file_name(members.VERSIONS, number), lines):
            yield part
        async for part in writing.listed(_MOST_LINES):
            yield part

    async def _photos(self, over: HandingOver, writing: Writing) -> AsyncIterator[bytes]:
        """Each is two files: what it is, and its bytes. A list has the hashes of all."""
        number, lines, lists = 0, list[bytes](), 0
        async for photo in self._everything.photos(over.until):
            number += 1
            async for part in self._photo(over, writing, file_name(members.PHOTOS, number), photo):
                yield part
            lines.append(file_line(photo.id, writing.size, writing.sha256))
            writing.photos.add(lines[-1])
            async for part in writing.listed(_MOST_LINES):
                yield part
            if len(lines) >= _MOST_LINES:
                lists += 1
                async for part in writing.whole(file_name(members.PHOTO_LIST, lists), b"".join(lines)):
                    yield part
                lines = []
        async for part in writing.whole(file_name(members.PHOTO_LIST, lists + 1), b"".join(lines)):
            yield part

    async def _photo(self, over: HandingOver, writing: Writing, name: str, photo: Photo) -> AsyncIterator[bytes]:
        carrier, line = await self._engine.store.read(photo.owner), picture_line(photo)
        await self._told(over, [carrier] if carrier else [], line)
        async for part in writing.whole(f"{name}.json", line):
            yield part
        async for part in writing.file(name, self._everything.bytes_of(photo)):
            yield part

    async def _heads(self, writing: Writing) -> AsyncIterator[bytes]:
        number = 0
        async for found in self._everything.heads():
            number += 1
            content = b"".join(head_line(head) + b"\n" for head in found)
            async for part in writing.whole(file_name(members.HEADS, number), content):
                yield part

    async def _told(self, over: HandingOver, some: Sequence[Stored], content: bytes) -> None:
        """Recorded before it leaves, for each patient; and the token still holds."""
        release = Release(str(over.recipient), PURPOSE, GROUND, hashlib.sha256(content).hexdigest())
        handing = replace(over.call, trace=Trace())

        async def once(attempt: Attempt) -> None:
            await self._still(handing)
            handing.trace.release = release
            # What names nobody would stand in the event of each patient.
            attempt.disclosed.extend(stored for stored in some if stored.subjects)

        await disclosing(self._engine.steps, handing, once)
