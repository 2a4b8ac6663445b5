"""A ZIP file written as it is sent: one part of it is in memory, each file known by its SHA-256 once it is written.

GDPR Art. 15(3), 20. Nothing is compressed or laid down on a disk: photos are packed already, and what is sealed in the
database does not lie open beside it.
"""

import hashlib
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime

_LARGE = 1 << 30
"""From here on a file is written as one that may pass 2 GiB."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A file as it was written."""

    path: str
    media_type: str
    size: int
    sha256: str


class _Sink:
    """What was written since it was last taken: all that an archive needs of a file that is not gone back in."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(part)
        return len(part)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held open."""

    def taken(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class Packer:
    """`made` is the time that every file bears. `files`: what was written so far, in order."""

    def __init__(self, made: datetime) -> None:
        self._sink, self._made = _Sink(), made
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED)
        self.files: list[Packed] = []

    async def file(
        self, path: str, media_type: str, parts: AsyncIterator[bytes], size: int = 0
    ) -> AsyncIterator[bytes]:
        """The bytes of the archive for a file that comes in parts. `size`, where it is known beforehand."""
        digest, length = hashlib.sha256(), 0
        with self._zip.open(self._entry(path), "w", force_zip64=size >= _LARGE) as entry:
            async for part in parts:
                digest.update(part)
                length += len(part)
                entry.write(part)
                yield self._sink.taken()
        self.files.append(Packed(path, media_type, length, digest.hexdigest()))
        yield self._sink.taken()

    def end(self) -> Iterator[bytes]:
        """The table of contents, without which it is no archive."""
        self._zip.close()
        yield self._sink.taken()

    def _entry(self, path: str) -> zipfile.ZipInfo:
        made = self._made
        entry = zipfile.ZipInfo(path, (made.year, made.month, made.day, made.hour, made.minute, made.second))
        entry.external_attr = 0o600 << 16
        return entry
