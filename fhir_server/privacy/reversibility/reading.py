"""An archive read from its beginning to its end, one piece in memory; refused wherever it is not what was signed.

HDS certification referential (2024), requirement 27; `members` has the layout. What it was signed by is told by whoever
reads: an archive does not vouch for itself.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.jws import verify_jws
from fhir_server.crypto.recipient import PIECE, Opener
from fhir_server.kernel import json
from fhir_server.kernel.errors import MalformedError
from fhir_server.privacy.reversibility import members
from fhir_server.privacy.reversibility.members import Digest, Manifest, file_line, file_name, manifest_of

_MOST_MEMBER = 2 * PIECE


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a file; `final`: the last. `size` and `sha256` are those of the file up to here."""

    name: str
    plain: bytes
    final: bool
    size: int
    sha256: str

    @property
    def folder(self) -> str:
        return self.name.partition("/")[0]


class Reading:
    """`pieces` can be gone through more than once; each time the whole archive is judged anew.

    `versions` and `photos` are filled by whoever reads, line by line; they are compared at the end.
    """

    def __init__(self, path: Path, key: Opener, signed_by: bytes) -> None:
        self._path, self._key, self._signed_by = path, key, signed_by
        self.versions, self.photos = Digest(), Digest()

    def pieces(self) -> Iterator[Piece]:
        """Raises ArchiveError; where it came to its end without, the archive is whole and was signed by that key."""
        self.versions, self.photos = Digest(), Digest()
        try:
            with self._path.open("rb") as file:
                yield from self._pieces(file)
        except tarfile.TarError:
            raise ArchiveError("The archive is damaged or was cut off.") from None

    def _pieces(self, file: BinaryIO) -> Iterator[Piece]:
        found = _members(file)
        name, content = next(found, ("", b""))
        archive = _opening(name, content)
        files, signed = Digest(), ""
        current, number, digest, size = "", 0, hashlib.sha256(), 0
        for name, content in found:
            if signed:
                raise ArchiveError("Something follows the archive's end.")
            if name == members.MANIFEST and not current:
                signed = content.decode("ascii", "replace")
                continue
            file_of, number = name.rpartition("/")[0], number + 1
            if (current and file_of != current) or name != file_name(file_of, number):
                raise ArchiveError(f"{name}: a piece before it is missing, or it is out of its place.")
            plain, final = self._key.opened(content, archive, file_of, number)
            current, size = file_of, size + len(plain)
            digest.update(plain)
            yield Piece(current, plain, final, size, digest.hexdigest())
            if final:
                if not current.startswith(f"{members.FILES}/"):
                    files.add(file_line(current, size, digest.hexdigest()))
                current, number, digest, size = "", 0, hashlib.sha256(), 0
        if not signed:
            raise ArchiveError("The archive was cut off: it has no manifest.")
        self._compare(manifest_of(verify_jws(signed, self._signed_by, members.ARCHIVE_TYPE)), archive, files)

    def _compare(self, stated: Manifest, archive: str, files: Digest) -> None:
        if stated.archive != archive:
            raise ArchiveError("The manifest is that of another archive.")
        for name, told, seen in (
            ("files", stated.files, files),
            ("versions", stated.versions, self.versions),
            ("photos", stated.photos, self.photos),
        ):
            if told != seen.listed():
                raise ArchiveError(f"The list of {name} is not the one that was signed: {seen.listed().count} here.")


def _members(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=file, mode="r|") as tar:
        while (entry := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # It would remember every one: memory would not stay flat.
            if not entry.isreg() or entry.size > _MOST_MEMBER:
                raise ArchiveError("The archive holds something that belongs into none.")
            content = tar.extractfile(entry)
            assert content is not None, "a regular file has content"
            yield entry.name, content.read()


def _opening(name: str, content: bytes) -> str:
    try:
        said = json.decode(content) if name == members.OPENING else None
        if not isinstance(said, dict) or (said["kind"], said["format"]) != (members.KIND, members.FORMAT):
            raise ArchiveError("That is no reversibility archive.")
        return str(said["archive"])
    except (MalformedError, KeyError):
        raise ArchiveError("That is no reversibility archive.") from None
