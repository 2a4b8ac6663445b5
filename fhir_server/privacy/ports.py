"""What erasing needs from outside: what is sealed under a patient's keys, and their end. fhir_server.store has it.

Architecture section 5: a key per patient and erasure class.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from fhir_server.crypto.keys import KeyClass
from fhir_server.engine.stored import Stored


@dataclass(frozen=True, slots=True)
class Holding:
    """A current version, the class of its key, and that key's id."""

    stored: Stored
    record: KeyClass
    key: bytes


class Holdings(Protocol):
    async def of(self, patient: str) -> Sequence[Holding]:
        """All that is sealed under keys of this patient alone, deletions included.

        What names another patient as well has a key of both, and is not among it.
        """
        ...

    async def destroy(self, keys: Collection[bytes], reason: str) -> None:
        """The keys, and the large data that they sealed; then tries to open them.

        Safe to repeat. Raises UnavailableError where a key still opens.
        """
        ...
