"""A ZIP file from elsewhere, opened without trusting what it says of itself.

CWE-22, CWE-409. Nothing is unpacked to disk; a file is read up to what its entry promised and no further. An archive in
an archive stays closed.
"""

import stat
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from mappers.mapping.faults import UnusableError

_ENCRYPTED = 0x1
_UNIX = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """`ratio`: unpacked to packed, beyond the first megabyte: text packs to a tenth, a bomb to a thousandth."""

    files: int = 50_000
    each: int = 64 * 1024 * 1024
    together: int = 16 * 1024 * 1024 * 1024
    ratio: int = 100


_FREE = 1024 * 1024


@dataclass(slots=True)
class Archive:
    """UnusableError where one entry is not what an export has: the whole is refused before anything is read."""

    path: Path
    limits: Limits = field(default_factory=Limits)
    _zip: zipfile.ZipFile = field(init=False, repr=False)
    _members: dict[str, zipfile.ZipInfo] = field(init=False, repr=False)

    def __enter__(self) -> Self:
        try:
            self._zip = zipfile.ZipFile(self.path)
        # zipfile raises NotImplementedError for a version, a compression or an encryption that it does not know.
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
            raise UnusableError("This is no ZIP file.") from None
        try:
            self._members = self._checked()
        except UnusableError:
            self._zip.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._zip.close()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._members)

    def read(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise UnusableError("The archive has no such file.")
        try:
            with self._zip.open(member) as opened:
                found = opened.read(member.file_size + 1)
        # As above: a compression that zipfile does not know is a NotImplementedError when the entry is opened.
        except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError, ValueError, RuntimeError):
            raise UnusableError("A file of the archive is damaged.") from None
        except Exception as error:  # zlib, lzma and bz2 each raise an exception of their own
            raise UnusableError("A file of the archive is damaged.") from error
        if len(found) != member.file_size:
            raise UnusableError("A file of the archive is not as large as it says.")
        return found

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        members = [one for one in self._zip.infolist() if not one.is_dir()]
        if len(members) > self.limits.files:
            raise UnusableError("The archive has too many files.")
        if sum(one.file_size for one in members) > self.limits.together:
            raise UnusableError("The archive is too large.")
        for member in members:
            self._refuse(member)
        found = {one.filename: one for one in members}
        if len(found) != len(members):
            raise UnusableError("The archive has two files of one name.")
        return found

    def _refuse(self, member: zipfile.ZipInfo) -> None:
        name = member.orig_filename
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
            raise UnusableError("The archive has a file that leads out of it.")
        if stat.S_ISLNK(member.external_attr >> _UNIX) or member.flag_bits & _ENCRYPTED:
            raise UnusableError("The archive has a link, or a file that is encrypted.")
        if member.file_size > self.limits.each:
            raise UnusableError("The archive has a file that is too large.")
        if member.file_size > _FREE and member.file_size > member.compress_size * self.limits.ratio:
            raise UnusableError("The archive has a file that is packed as no export is.")
