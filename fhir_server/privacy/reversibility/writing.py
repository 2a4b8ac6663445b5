"""An archive as it is written: each file in encrypted pieces, each list digested on its way; one piece is in memory.

HDS certification referential (2024), requirement 27; `members` has the layout.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from fhir_server.crypto.recipient import PIECE, Recipient
from fhir_server.kernel import json
from fhir_server.privacy.reversibility import members
from fhir_server.privacy.reversibility.members import Digest, file_line, file_name, member


class Writing:
    """`versions`, `photos`, `files`: the lists so far. `sha256` is that of the file that was written last."""

    def __init__(self, archive: str, to: Recipient) -> None:
        self.archive, self._to = archive, to
        self.versions, self.photos, self.files = Digest(), Digest(), Digest()
        self.size, self.sha256 = 0, ""
        self._unlisted: list[bytes] = []
        self._lists = 0

    def begin(self) -> bytes:
        opening = {"kind": members.KIND, "format": members.FORMAT, "archive": self.archive}
        return member(members.OPENING, json.encode(opening))

    async def file(self, name: str, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The members of a file that comes in parts of any size."""
        async for piece in self._pieces(name, parts):
            yield piece
        line = file_line(name, self.size, self.sha256)
        self.files.add(line)
        self._unlisted.append(line)

    async def whole(self, name: str, content: bytes) -> AsyncIterator[bytes]:
        async for piece in self.file(name, _once(content)):
            yield piece

    async def listed(self, least: int = 0) -> AsyncIterator[bytes]:
        """A list of those files that are in none yet, where they are so many. It is in no list itself."""
        if len(self._unlisted) < least:
            return
        content, self._unlisted, self._lists = b"".join(self._unlisted), [], self._lists + 1
        async for piece in self._pieces(file_name(members.FILES, self._lists), _once(content)):
            yield piece

    async def _pieces(self, name: str, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        digest, number, rest = hashlib.sha256(), 0, bytearray()
        size = 0
        async for part in parts:
            digest.update(part)
            size += len(part)
            rest += part
            while len(rest) > PIECE:
                number += 1
                yield await self._piece(name, number, bytes(rest[:PIECE]), final=False)
                del rest[:PIECE]
        yield await self._piece(name, number + 1, bytes(rest), final=True)
        self.size, self.sha256 = size, digest.hexdigest()

    async def _piece(self, name: str, number: int, plain: bytes, *, final: bool) -> bytes:
        sealed = await asyncio.to_thread(self._to.encrypted, plain, self.archive, name, number, final=final)
        return member(file_name(name, number), sealed)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
