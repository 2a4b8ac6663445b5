"""What a log entry commits to: the event as it was, so that it can be shown to be that one without any key.

sealed-storage section 6: the leaf covers stored bytes. They begin with a salted hash of the event; who is given event
and salt can check them against it, and nobody who is given neither learns anything from it.
"""

import hashlib

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from fhir_server.crypto.derivation import derive
from fhir_server.crypto.keys import DataKey

COMMITMENT_BYTES = 32
_LENGTH_BYTES = 4


class Salts:
    """Those of one writer of the log, by the numbers of its events: made again when they are needed, kept nowhere."""

    def __init__(self, root: DataKey, writer: str) -> None:
        self._keyed = HMAC(derive(root.secret, "audit-salt", writer.encode()), SHA256())

    def of(self, number: int) -> bytes:
        """HMAC with SHA-256 (RFC 2104); what depends on the key alone was worked out before."""
        keyed = self._keyed.copy()
        keyed.update(number.to_bytes(8))
        return keyed.finalize()


def commitment(salt: bytes, event: bytes) -> bytes:
    return hashlib.sha256(salt + event).digest()


def entry(committed: bytes, carried: bytes, sealed: bytes) -> bytes:
    """What the leaf is made of: the commitment, what the row carries of other rows, and the seal."""
    return committed + len(carried).to_bytes(_LENGTH_BYTES) + carried + sealed
