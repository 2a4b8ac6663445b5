"""The append-only list of destroyed keys: what was destroyed, when, and a running hash that shows any later change.

Its count and hash stand in every signed checkpoint, so that a key backup from before a destruction is known as such.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from fhir_server.crypto.errors import CryptoError
from fhir_server.crypto.framing import frame
from fhir_server.crypto.keys import KeyId
from fhir_server.kernel.clock import microseconds


@dataclass(frozen=True, slots=True)
class Tally:
    """How long the list is, and the hash of its last entry."""

    count: int = 0
    sha256: bytes = bytes(32)


@dataclass(frozen=True, slots=True)
class DestroyedKey:
    """One entry. Numbers start at 1 and have no gap; `sha256` covers this entry and all before it.

    `reason` is a code or the reference of a request, never a name.
    """

    number: int
    key_id: KeyId
    instant: datetime
    reason: str
    sha256: bytes

    @property
    def tally(self) -> Tally:
        return Tally(self.number, self.sha256)


def appended(tally: Tally, key_ids: Iterable[KeyId], reason: str, instant: datetime) -> Iterator[DestroyedKey]:
    """The entries that follow `tally`. The instant is cut to whole milliseconds, as the database keeps it."""
    moment = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    for key_id in key_ids:
        number = tally.count + 1
        fields = [tally.sha256, number.to_bytes(8), key_id, microseconds(moment).to_bytes(8), reason.encode()]
        entry = DestroyedKey(number, key_id, moment, reason, hashlib.sha256(frame(fields)).digest())
        yield entry
        tally = entry.tally


def tally_of(entries: Iterable[DestroyedKey], start: Tally | None = None) -> Tally:
    """The tally after these entries. Raises CryptoError when one was changed, moved, left out or slipped in."""
    tally = start or Tally()
    for entry in entries:
        expected = next(appended(tally, [entry.key_id], entry.reason, entry.instant))
        if entry.number != expected.number or entry.sha256 != expected.sha256:
            raise CryptoError(f"The list of destroyed keys was altered at entry {expected.number}.")
        tally = entry.tally
    return tally
