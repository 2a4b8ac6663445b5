"""What names a patient, in memory."""

from collections.abc import Sequence

from fhir_server.engine.stored import Stored
from tests.fakes.memory import Memory


class FakeMentions:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def of(self, patient: str) -> Sequence[Stored]:
        found = self._memory.current.values()
        return [one for one in found if patient in one.subjects and not one.deleted]
