"""What a key is: its id, the class that decides when it is destroyed, and the key itself.

Architecture section 5: a key per patient and erasure class, because erasure is nearly always partial (GDPR Art. 17).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, NewType, TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KeyId = NewType("KeyId", bytes)

ID_BYTES = 16
KEY_BYTES = 32


class KeyClass(StrEnum):
    """What a key is for. The first seven are a patient's, the rest the clinic's.

    A `picture` key is that of one resource in which a picture stands: it goes alone, with all versions that have it.
    """

    RECORD = "record"
    CONTACT = "contact"
    MARKETING = "marketing"
    PROOF = "proof"
    ACCESS = "access"
    RENDITION = "rendition"
    PICTURE = "picture"
    CLINIC = "clinic"
    AUDIT = "audit"
    TOKEN = "token"  # noqa: S105  the name of a class, not a password
    SIGNING = "signing"
    CURSOR = "cursor"
    BACKUP = "backup"


class KeyRequest(NamedTuple):
    """The key of these patients (none: the clinic's own) and this class. Equal to the plain tuple."""

    owners: tuple[str, ...]
    key_class: KeyClass


class PictureRequest(NamedTuple):
    """The key of one resource of these patients in which a picture stands. `resource`: its reference."""

    owners: tuple[str, ...]
    resource: str


DataRequest: TypeAlias = KeyRequest | PictureRequest


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key as used. `version` goes into each envelope and is 1 until a key can be renewed under the same id."""

    id: KeyId
    secret: bytes = field(repr=False)
    version: int = 1
    cipher: AESGCM = field(init=False, repr=False, compare=False)
    """Made once: its key schedule costs twice what sealing a small resource does. It goes when the key goes."""

    def __post_init__(self) -> None:
        if len(self.id) != ID_BYTES or len(self.secret) != KEY_BYTES:
            raise ValueError("A key has an id of 16 bytes and 32 secret bytes.")
        object.__setattr__(self, "cipher", AESGCM(self.secret))
