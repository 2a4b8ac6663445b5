"""What erasing and merging need from outside: what is sealed under a patient's keys, and their end; what names them.

Architecture section 5: a key per patient and erasure class. fhir_server.store has it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhir_server.crypto.keys import KeyClass
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey


@dataclass(frozen=True, slots=True)
class Holding:
    """A current version, the class of its key, and that key's id."""

    stored: Stored
    record: KeyClass
    key: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """What one key seals: the versions of a resource in which a picture stands.

    `newest`: the last of them; None where none is left. `current`: is that the resource as it stands?
    """

    resource: ResourceKey
    owners: tuple[str, ...]
    key: bytes
    newest: Stored | None
    current: bool


@dataclass(frozen=True, slots=True)
class Final:
    """What one cause destroyed and nothing opens any more, wherever copies lie. `cause`: a versioned reference."""

    cause: str
    keys: tuple[bytes, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """A version of the root key whose coming made these final."""

    version: int
    finals: tuple[Final, ...]


class Openings(Protocol):
    async def count(self, run: str, patients: Sequence[str], until: int) -> int:
        """Add these to whom a run has, which is forgotten after `until` (seconds since 1970). How many has it?"""
        ...


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why the root was not rotated when it was time."""

    on: datetime
    says: str


class Rotations(Protocol):
    async def waiting(self) -> datetime | None:
        """When the first key was destroyed that an older version of the root still opens in an older copy."""
        ...

    async def hindered(self, by: Hindrance | None) -> None:
        """Kept until the next one is said; None where nothing does any more."""
        ...

    async def hindrance(self) -> Hindrance | None: ...

    async def length(self) -> int:
        """How many keys were destroyed so far."""
        ...

    async def begin(self, version: int, length: int) -> None:
        """Before this version is made. Said again, what was said first holds: it can only be too few."""
        ...

    async def end(self, version: int, final: datetime) -> None:
        """From this instant on no version before this one opens anything."""
        ...

    async def untold(self, now: datetime) -> Rotation | None:
        """The oldest one that is final by now and was not told."""
        ...

    async def told(self, version: int) -> None: ...


class Holdings(Protocol):
    async def of(self, patient: str) -> Sequence[Holding]:
        """All that is sealed under keys of this patient alone, deletions included.

        Of what had a picture in it and has none any more, the last version that had.

        What names another patient as well has a key of both, and is not among it.
        """
        ...

    async def keys(self, patient: str) -> Mapping[KeyClass, bytes]:
        """The keys of this patient alone, also those under which nothing but earlier versions lie."""
        ...

    async def pictures(self, patient: str) -> Sequence[Picture]:
        """Those that stand in resources of this patient, alone or with others."""
        ...

    async def destroy(self, keys: Collection[bytes], reason: str) -> None:
        """The keys, and the large data that they sealed; then tries to open them.

        Safe to repeat. Raises UnavailableError where a key still opens.
        """
        ...


class Mentions(Protocol):
    async def of(self, patient: str) -> Sequence[Stored]:
        """Every current resource that is sealed as naming this patient, whoever else it names. No deletions."""
        ...
