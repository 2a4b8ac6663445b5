"""A small file that its owner alone may read, replaced whole or not at all.

POSIX: link(2) never overwrites, rename(2) is atomic, and neither is durable before fsync(2) of the directory.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fhir_server.crypto.errors import ProviderError

_OTHERS = 0o077
MOST_BYTES = 1 << 20


def make_directory(directory: Path) -> None:
    """Mode 700 when it is made here; one that exists is left as it is, and checked when a file in it is read."""
    with _as_provider_error():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def read(path: Path) -> bytes:
    """Raises ProviderError when it is missing, not a plain file, or open to anyone but its owner."""
    with _as_provider_error():
        if stat.S_IMODE(path.parent.stat().st_mode) & _OTHERS:
            raise ProviderError("The directory of the root key file is open to others: it must have mode 700.")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ProviderError("The root key file is not a plain file.")
            if stat.S_IMODE(found.st_mode) & _OTHERS:
                raise ProviderError("The root key file is open to others: it must have mode 600.")
            return file.read(MOST_BYTES)


def fingerprint(path: Path) -> tuple[int, int, int]:
    """Differs whenever the file was replaced: a replacement is another inode."""
    with _as_provider_error():
        found = path.stat(follow_symlinks=False)
    return found.st_ino, found.st_mtime_ns, found.st_size


def create(path: Path, content: bytes) -> bool:
    """Make the file; False, and nothing changed, when there is one. Call it under `locked`."""
    with _as_provider_error():
        fresh = _written(path, content)
        try:
            os.link(fresh, path)
        except FileExistsError:
            return False
        finally:
            fresh.unlink()
            _sync_directory(path.parent)
        return True


def replace(path: Path, content: bytes) -> None:
    """Call it under `locked`."""
    with _as_provider_error():
        _written(path, content).replace(path)
        _sync_directory(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time, on one machine. The lock goes with the process that holds it."""
    with _as_provider_error():
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)


def _written(path: Path, content: bytes) -> Path:
    """The content, durable, under a name of its own. What a crash left there holds keys and is removed first."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _sync_directory(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _as_provider_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProviderError(f"The root key file: {error.strerror}.") from None
