"""Wrapped keys as the key store keeps them: what a row is, what it is called, and what it is wrapped by.

Architecture section 5: root → bucket of about 1,000 patients → patient → data key.

A row of kind `bucket` or `patient` holds a wrapping key in one or two generations, the newest last: two while
everything below is carried from the old one to the new one. A generation's id is a stem of 12 random bytes, the same
for the life of the row, and a number of 4 bytes that only rises. The root's versions are ids too, with the stem of
zeros. A row of any other kind holds one data key, wrapped once for each patient it belongs to, or once by the root.
"""

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum

from fhir_server.crypto.framing import frame
from fhir_server.crypto.keys import ID_BYTES, KeyClass, KeyId, PictureRequest
from fhir_server.kernel.identity import is_id

_STEM = 12
_ROOT_STEM = bytes(_STEM)
_NAME = re.compile(r"[A-Za-z0-9._/:-]{1,120}", re.ASCII)


class WrapperKind(StrEnum):
    BUCKET = "bucket"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True)
class Wrap:
    """The key `key`, encrypted under the key `by`."""

    key: KeyId
    by: KeyId
    blob: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One wrapped key. `name` is unique in the store; `revision` rises by one with each change of the row.

    It starts anywhere: a row that is made anew under the name of a destroyed one must not be taken for that one by
    somebody who read it and is about to replace it.

    `stale`: a key below this wrapping key was destroyed since its newest generation was made, so it is due for another.
    """

    name: str
    kind: KeyClass | WrapperKind
    owners: tuple[str, ...]
    wraps: tuple[Wrap, ...]
    revision: int = 1
    stale: bool = False

    @property
    def newest(self) -> KeyId:
        """The data key's id, or the generation under which new keys are wrapped."""
        return self.wraps[-1].key

    @property
    def due(self) -> bool:
        return self.stale or (isinstance(self.kind, WrapperKind) and len(self.wraps) > 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row that shall be: everything about it but the key."""

    name: str
    kind: KeyClass | WrapperKind
    owners: tuple[str, ...] = ()

    @property
    def fixed_id(self) -> KeyId | None:
        """A photo's key has the same id whenever it is made, so that a destroyed one is known and not made again."""
        if self.kind is not KeyClass.RENDITION:
            return None
        return KeyId(hashlib.sha256(self.name.encode()).digest()[:ID_BYTES])

    def outer_name(self, position: int) -> str | None:
        """The row whose wrapping key is around the wrap at this position; None is the root."""
        if self.kind is WrapperKind.BUCKET or not self.owners:
            return None
        if self.kind is WrapperKind.PATIENT:
            return bucket(self.owners[0]).name
        return patient(self.owners[position]).name

    def binding(self, position: int, key: KeyId, by: KeyId) -> bytes:
        """What a wrap is good for: it opens as no other key, for no other owner or class, under no other wrapper."""
        owner = self.owners[0 if isinstance(self.kind, WrapperKind) else position] if self.owners else ""
        outer = b"root" if is_root(by) else by
        return frame([b"key", self.name.encode(), self.kind.encode(), owner.encode(), key, outer])


def wanted(row: KeyRow) -> Wanted:
    return Wanted(row.name, row.kind, row.owners)


def bucket(patient_id: str) -> Wanted:
    """One of 256; the hash spreads patients whatever their ids look like."""
    return Wanted(f"bucket/{hashlib.sha256(patient_id.encode()).digest()[0]:02x}", WrapperKind.BUCKET)


def patient(patient_id: str) -> Wanted:
    return Wanted(f"patient/{patient_id}", WrapperKind.PATIENT, (patient_id,))


def data(owners: tuple[str, ...], key_class: KeyClass) -> Wanted:
    """The order in which two patients are named makes no other key."""
    if key_class in {KeyClass.RENDITION, KeyClass.PICTURE}:
        raise ValueError("The key of a picture belongs to it alone: ask for it by what carries it.")
    sorted_owners = _checked(owners)
    return Wanted(f"{key_class}/{','.join(sorted_owners)}", key_class, sorted_owners)


def picture(owners: tuple[str, ...], resource: str) -> Wanted:
    """That of one resource as long as it is of these patients."""
    if not all(is_id(part) for part in resource.split("/")):
        raise ValueError("A resource is named by its type and its id.")
    sorted_owners = _checked(owners)
    return Wanted(f"{KeyClass.PICTURE}/{','.join(sorted_owners)}/{resource}", KeyClass.PICTURE, sorted_owners)


def pictured(row: KeyRow) -> str:
    """The reference of the resource that a picture's key is of."""
    return row.name.split("/", 2)[2]


def requested(request: tuple[tuple[str, ...], KeyClass] | PictureRequest) -> Wanted:
    return picture(*request) if isinstance(request, PictureRequest) else data(*request)


def rendition(owners: tuple[str, ...], photo_id: str) -> Wanted:
    if not is_id(photo_id):
        raise ValueError("A photo id is a FHIR id.")
    return Wanted(f"{KeyClass.RENDITION}/{photo_id}", KeyClass.RENDITION, _checked(owners))


def named(name: str, key_class: KeyClass) -> Wanted:
    if not _NAME.fullmatch(name):
        raise ValueError("The name of a secret has 1 to 120 letters, digits and . _ / : -")
    return Wanted(f"named/{key_class}/{name}", key_class)


def root_id(version: int) -> KeyId:
    return KeyId(_ROOT_STEM + version.to_bytes(ID_BYTES - _STEM))


def is_root(key: KeyId) -> bool:
    return key[:_STEM] == _ROOT_STEM


def stem(key: KeyId) -> bytes:
    return key[:_STEM]


def generation(key: KeyId) -> int:
    """The number of a wrapping key's generation, or the root's version."""
    return int.from_bytes(key[_STEM:])


def first_generation(random: bytes) -> KeyId:
    return KeyId(random[:_STEM] + (1).to_bytes(ID_BYTES - _STEM))


def next_generation(key: KeyId) -> KeyId:
    return KeyId(stem(key) + (generation(key) + 1).to_bytes(ID_BYTES - _STEM))


def _checked(owners: tuple[str, ...]) -> tuple[str, ...]:
    if not all(is_id(owner) for owner in owners):
        raise ValueError("The owner of a key is a patient's FHIR id.")
    return tuple(sorted(set(owners)))
