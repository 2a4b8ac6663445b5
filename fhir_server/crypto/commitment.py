"""What a log entry commits to: the event as it was, so that it can be shown to be that one without any key.

sealed-storage section 6: the leaf covers stored bytes. They begin with a salted hash of the event; who is given event
and salt can check them against it, and nobody who is given neither learns anything from it.
"""

import hashlib
import hmac

from fhir_server.crypto.derivation import derive
from fhir_server.crypto.keys import DataKey

COMMITMENT_BYTES = 32
_LENGTH_BYTES = 4


def salt_key(root: DataKey, writer: str) -> bytes:
    """One for each writer of the log, so that a salt takes no room."""
    return derive(root.secret, "audit-salt", writer.encode())


def salt(key: bytes, number: int) -> bytes:
    return hmac.digest(key, number.to_bytes(8), "sha256")


def commitment(salt: bytes, event: bytes) -> bytes:
    return hashlib.sha256(salt + event).digest()


def entry(committed: bytes, carried: bytes, sealed: bytes) -> bytes:
    """What the leaf is made of: the commitment, what the row carries of other rows, and the seal."""
    return committed + len(carried).to_bytes(_LENGTH_BYTES) + carried + sealed
