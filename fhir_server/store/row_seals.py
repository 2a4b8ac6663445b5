"""What the log keeps of each row that a commit wrote: which row, which version, and the hash of its seal.

Architecture section 4: putting back a whole old row is not prevented but found. Rides on an event's row, in the leaf.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_NAME_BYTES, _VERSION_BYTES, _HASH_BYTES = 16, 8, 32
ERASED = bytes(_HASH_BYTES)
"""No seal has this hash."""

_BYTES = _NAME_BYTES + _VERSION_BYTES + _HASH_BYTES


class RowSeal(NamedTuple):
    """`name` stands for the row; one cannot be told from it."""

    name: bytes
    version: int
    sha256: bytes

    def encode(self) -> bytes:
        return self.name + self.version.to_bytes(_VERSION_BYTES) + self.sha256


def row_seal(row: str, version: int, sealed: bytes) -> RowSeal:
    """`row`: `Patient/7`, `Head/7`, `User/3`."""
    return RowSeal(name_of(row), version, hashlib.sha256(sealed).digest())


def erased_seal(row: str, version: int) -> RowSeal:
    """Says that this version went in an erasure: it is not missed, and must not come back."""
    return RowSeal(name_of(row), version, ERASED)


def name_of(row: str) -> bytes:
    return hashlib.blake2b(row.encode(), digest_size=_NAME_BYTES).digest()


def decoded(carried: bytes) -> Iterator[RowSeal]:
    """Raises ValueError where it was not made by `encode`."""
    if len(carried) % _BYTES:
        raise ValueError("What an entry carries is cut short.")
    for at in range(0, len(carried), _BYTES):
        name, rest = carried[at : at + _NAME_BYTES], carried[at + _NAME_BYTES : at + _BYTES]
        yield RowSeal(name, int.from_bytes(rest[:_VERSION_BYTES]), rest[_VERSION_BYTES:])


def spread(events_of: Sequence[str], seals: Mapping[str, RowSeal], others: Sequence[RowSeal]) -> list[bytes]:
    """What each event carries: the first of a row its row's seal, the first of all what has no event of its own.

    `events_of` names the row of each event.
    """
    carried = [b""] * len(events_of)
    if not carried:
        return carried
    left = dict(seals)
    for place, row in enumerate(events_of):
        if row in left:
            carried[place] = left.pop(row).encode()
    carried[0] += b"".join(seal.encode() for seal in (*left.values(), *others))
    return carried
