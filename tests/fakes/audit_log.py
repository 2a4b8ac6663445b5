"""An AuditLog in memory."""

from collections.abc import Sequence

from fhir_server.engine.ports import AuditRow
from fhir_server.kernel.errors import UnavailableError
from tests.fakes.heads import FakeHeads
from tests.fakes.memory import Memory

WRITER = "reads"


class FakeAuditLog:
    """`broken`: it cannot write, as when the disk is full."""

    def __init__(self, memory: Memory, heads: FakeHeads) -> None:
        self._memory, self._heads = memory, heads
        self.broken = False

    async def append(self, entries: Sequence[AuditRow]) -> None:
        if self.broken:
            raise UnavailableError("The audit log could not be written.")
        self._memory.require_granted(entries)
        self._heads.require_unmoved([basis for entry in entries for basis in entry.bases])
        for entry in entries:
            self._memory.record(WRITER, entry)
