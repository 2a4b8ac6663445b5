"""The folder of a backup: its files, each written whole or not at all, readable to its owner alone.

POSIX: rename(2) is atomic; neither a file nor its name is durable before fsync(2).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fhir_server.crypto.errors import ArchiveError
from fhir_server.crypto.providers.port import Wrapped
from fhir_server.kernel import json
from fhir_server.kernel.errors import MalformedError
from fhir_server.store.backup.manifest import FORMAT, Kind

_OPENER, _MANIFEST, _PROGRESS = "backup.json", "manifest.jws", "progress.sealed"
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Opener:
    """What has to be known before anything opens: which backup it is and, for one of keys, its key under the root."""

    kind: Kind
    id: bytes
    wrapped: Wrapped | None = None


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        with _faults():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def is_empty(self) -> bool:
        with _faults():
            return not self.path.exists() or not any(self.path.iterdir())

    def is_finished(self) -> bool:
        return (self.path / _MANIFEST).exists()

    def clear(self) -> None:
        """Of a backup that was never finished."""
        with _faults():
            for file in (*self.path.glob("*.sealed"), *self.path.glob("*.new"), self.path / _OPENER):
                file.unlink(missing_ok=True)

    def begin(self, opener: Opener) -> None:
        wrapped = opener.wrapped
        more = {"root": wrapped.version, "key": wrapped.blob.hex()} if wrapped else {}
        content = {"format": FORMAT, "kind": opener.kind, "id": opener.id.hex(), **more}
        self._write(_OPENER, json.encode(content))

    def opener(self) -> Opener | None:
        """None where no backup was begun. Raises ArchiveError for what is none."""
        content = self._read(_OPENER)
        if content is None:
            return None
        try:
            found = json.decode(content)
            if found["format"] != FORMAT or found["kind"] not in {"data", "keys"}:
                raise ArchiveError(f"{_OPENER} is of another format.")
            wrapped = Wrapped(int(found["root"]), bytes.fromhex(found["key"])) if "key" in found else None
            return Opener(found["kind"], bytes.fromhex(found["id"]), wrapped)
        except (MalformedError, KeyError, TypeError, ValueError, AttributeError):
            raise ArchiveError(f"{_OPENER} is damaged.") from None

    def write_piece(self, name: str, number: int, sealed: bytes) -> None:
        self._write(_piece(name, number), sealed)

    def piece(self, name: str, number: int) -> bytes:
        """Raises ArchiveError where it is missing."""
        found = self._read(_piece(name, number))
        if found is None:
            raise ArchiveError(f"{name}, piece {number}: it is missing.")
        return found

    def write_progress(self, sealed: bytes) -> None:
        self._write(_PROGRESS, sealed)

    def progress(self) -> bytes | None:
        return self._read(_PROGRESS)

    def finish(self, signed: str) -> None:
        """From here on it is a backup."""
        self._write(_MANIFEST, signed.encode())
        with _faults():
            (self.path / _PROGRESS).unlink(missing_ok=True)

    def manifest(self) -> str:
        found = self._read(_MANIFEST)
        if found is None:
            raise ArchiveError(f"{self.path} holds no finished backup.")
        return found.decode("ascii", "replace")

    def _read(self, name: str) -> bytes | None:
        with _faults():
            try:
                with (self.path / name).open("rb") as file:
                    return file.read(_MOST_BYTES)
            except FileNotFoundError:
                return None

    def _write(self, name: str, content: bytes) -> None:
        fresh = self.path / f"{name}.new"
        with _faults():
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path / name)
            directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def _piece(name: str, number: int) -> str:
    return f"{name}.{number:06}.sealed"


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"The folder of the backup: {error.strerror}.") from None
