"""The envelope: one AES-256-GCM blob per resource version, bound to its address.

NIST SP 800-38D. Bytes: `format (1) | algorithm (1) | key id (16) | key version (2) | dictionary id (1) | nonce (12) |
ciphertext | tag (16)`. The whole header and the address are authenticated beside the ciphertext, so a seal opens at its
own place only. The key is chosen by the id in the header and never by trying: GCM does not commit to its key.
"""

import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from fhir_server.crypto.errors import OpeningError
from fhir_server.crypto.framing import frame
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.crypto.packing import DICTIONARY, NO_DICTIONARY, pack, unpack

NONCE_BYTES = 12
MOST_SEALED = 12 << 20
"""A BSON document ends at 16 MiB and has to hold tokens and clear values too."""

_FORMAT, _AES_256_GCM = 1, 1
_FRONT = bytes([_FORMAT, _AES_256_GCM])
_KEY = slice(2, 20)
_DICTIONARY_AT = 20
_DICTIONARIES = (NO_DICTIONARY, DICTIONARY)
_NONCE = slice(21, 33)
_HEADER = 33
_TAG = 16
_MOST_PACKED = MOST_SEALED - _HEADER - _TAG
_FIXED = struct.Struct(">qqq?HH")


class Address(NamedTuple):
    """Where a resource version lies and whom it concerns: all that the store knows of it in clear.

    `access` and `subjects` count in the order in which they are stored. `last_updated` is in milliseconds since 1970,
    as FHIR's instant is written and as the database keeps it.
    """

    clinic: str
    type: str
    id: str
    version: int
    seq: int
    last_updated: int
    access: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    deleted: bool = False

    def encode(self) -> bytes:
        """Canonical: two addresses give the same bytes only if they are the same address."""
        counts = (len(self.access), len(self.subjects))
        fixed = _FIXED.pack(self.version, self.seq, self.last_updated, self.deleted, *counts)
        texts = (self.clinic, self.type, self.id, *self.access, *self.subjects)
        return fixed + frame([text.encode() for text in texts])


def seal(plain: bytes, address_bytes: bytes, key: DataKey, nonce: bytes) -> bytes:
    """Compress, pad, encrypt. A nonce must never come twice under one key: give random bytes.

    Raises TooLargeError when the result would exceed 12 MiB.
    """
    header = _FRONT + key.id + key.version.to_bytes(2) + bytes([DICTIONARY]) + nonce
    if len(header) != _HEADER:
        raise ValueError("A nonce has 12 bytes.")
    return header + key.cipher.encrypt(nonce, pack(plain, _MOST_PACKED), header + address_bytes)


def open_sealed(sealed: bytes, address_bytes: bytes, key: DataKey) -> bytes:
    """The plain bytes. Raises OpeningError for anything that `seal` did not make for this address with this key."""
    header = _header(sealed)
    if header[_KEY] != key.id + key.version.to_bytes(2):
        raise OpeningError("The seal names another key.")
    dictionary = header[_DICTIONARY_AT]
    if dictionary not in _DICTIONARIES:
        raise OpeningError(f"The seal was made with dictionary {dictionary}, which this server does not have.")
    try:
        packed = key.cipher.decrypt(header[_NONCE], sealed[_HEADER:], header + address_bytes)
    except InvalidTag:
        raise OpeningError("The seal does not open at this address.") from None
    return unpack(packed, dictionary)


def key_id_of(sealed: bytes) -> KeyId:
    """Which key opens it. Not to be relied on before it did."""
    return KeyId(_header(sealed)[_KEY][:-2])


def _header(sealed: bytes) -> bytes:
    if len(sealed) < _HEADER + _TAG:
        raise OpeningError("The seal is too short.")
    if sealed[: len(_FRONT)] != _FRONT:
        raise OpeningError("The seal has a format or algorithm that this server does not know.")
    return sealed[:_HEADER]
