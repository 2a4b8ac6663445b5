"""What a backup says of itself: which collections, how many rows, their digests, and which keys were destroyed by then.

S62; sealed-storage section 3. It is signed (RFC 7515) and names no patient; the pieces are bound to their places by
their own encryption.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from fhir_server.crypto.errors import ArchiveError
from fhir_server.kernel import json
from fhir_server.kernel.errors import MalformedError

FORMAT = 1
MANIFEST_TYPE = "backup+jws"
Kind: TypeAlias = Literal["data", "keys"]
EMPTY = bytes(32)


def chained(digest: bytes, row: bytes) -> bytes:
    """The digest of some rows and one more. Its state is small, so a backup that was killed can go on with it."""
    return hashlib.sha256(digest + hashlib.sha256(row).digest()).digest()


@dataclass(frozen=True, slots=True)
class Part:
    """One collection: its rows in the order of their ids, as they lie, and the digest over all of them."""

    name: str
    rows: int
    pieces: int
    bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`instant` is what the backup shows; `destroyed` and `destroyed_digest` the list of destroyed keys then."""

    kind: Kind
    id: str
    clinic: str
    base: str
    instant: str
    destroyed: int
    destroyed_digest: str
    parts: tuple[Part, ...]

    def encode(self) -> bytes:
        return json.encode({"format": FORMAT, **asdict(self)})

    @property
    def rows(self) -> Mapping[str, int]:
        return {part.name: part.rows for part in self.parts}


def manifest(payload: bytes) -> Manifest:
    """Raises ArchiveError for what this server did not write."""
    try:
        found = json.decode(payload)
        if found.pop("format") != FORMAT:
            raise ArchiveError("The backup is of another format.")
        parts = tuple(Part(**part) for part in found.pop("parts"))
        return Manifest(parts=parts, **found)
    except (MalformedError, KeyError, TypeError, AttributeError):
        raise ArchiveError("The manifest is not one of a backup.") from None
