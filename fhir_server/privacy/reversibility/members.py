"""The layout of an archive: a tar file whose members are pieces of files, encrypted; and the manifest that ends it.

HDS certification referential (2024), requirement 27. `opening.json` comes first, in clear: which archive it is. A file
`resources/000001` is the members `resources/000001/000001`, …/000002 and so on, each a JWE (crypto.recipient); and
`manifest.jws` comes last: an archive without it was cut off. What it signs are digests over the lists of versions, of
photos and of files, each of them a file of lines; so it stays small however much there is.
"""

import hashlib
import tarfile
from dataclasses import asdict, dataclass

from fhir_server.crypto.errors import ArchiveError
from fhir_server.kernel import json
from fhir_server.kernel.errors import MalformedError

KIND = "reversibility-archive"
FORMAT = 1
ARCHIVE_TYPE = "reversibility-archive+jws"
OPENING, MANIFEST = "opening.json", "manifest.jws"
RESOURCES, VERSIONS, PHOTOS, PHOTO_LIST, HEADS, FILES = (
    *("resources", "versions", "photos", "photo-list"),
    *("heads", "files"),
)
END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class Listed:
    """A list: how many lines, and the SHA-256 of all of them, each with its line feed."""

    count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`instant` is what the archive shows; `recipient` the thumbprint (RFC 7638) of the key that it opens with."""

    archive: str
    clinic: str
    base: str
    instant: str
    issued: str
    recipient: str
    versions: Listed
    photos: Listed
    files: Listed

    def encode(self) -> bytes:
        return json.encode({"kind": KIND, "format": FORMAT, **asdict(self)})


class Digest:
    """Of lines, as they come."""

    def __init__(self) -> None:
        self._sha256, self._count = hashlib.sha256(), 0

    def add(self, lines: bytes) -> None:
        """Whole lines, each with its line feed."""
        self._sha256.update(lines)
        self._count += lines.count(b"\n")

    def listed(self) -> Listed:
        return Listed(self._count, self._sha256.hexdigest())


def manifest_of(payload: bytes) -> Manifest:
    """Raises ArchiveError for what this server did not write."""
    try:
        said = json.decode(payload)
        if (said.pop("kind"), said.pop("format")) != (KIND, FORMAT):
            raise ArchiveError("The archive is of another kind or format.")
        versions, photos, files = (Listed(**said.pop(name)) for name in ("versions", "photos", "files"))
        return Manifest(**said, versions=versions, photos=photos, files=files)
    except (MalformedError, KeyError, TypeError, AttributeError):
        raise ArchiveError("The manifest is not one of a reversibility archive.") from None


def file_name(folder: str, number: int) -> str:
    return f"{folder}/{number:06}"


def file_line(name: str, size: int, sha256: str) -> bytes:
    return json.encode([name, size, sha256]) + b"\n"


def member(name: str, content: bytes) -> bytes:
    """POSIX ustar. No time and no owner: they say nothing."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    return entry.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
