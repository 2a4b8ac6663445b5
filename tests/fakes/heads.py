"""Heads in memory: the epoch of each patient, and the consents in force."""

from collections.abc import Collection, Iterable, Mapping

from fhir_server.engine.change import HeadMove, LegalBasis, Unmoved
from fhir_server.engine.ports import Head
from fhir_server.kernel.errors import StaleBasisError
from tests.fakes.memory import Memory


class FakeHeads:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def heads(self, patients: Collection[str]) -> Mapping[str, Head]:
        return {patient: head for patient in patients if (head := self._memory.heads.get(patient))}

    def require_unmoved(self, bases: Collection[LegalBasis | Unmoved]) -> None:
        for basis in bases:
            head = self._memory.heads.get(basis.patient)
            if head is None or head.epoch != basis.epoch:
                raise StaleBasisError("What it rested on has changed.")


def moved(
    heads: dict[str, Head], patients: Iterable[str], moves: Iterable[HeadMove | Unmoved | LegalBasis]
) -> dict[str, Head]:
    """The head rows after a commit. A patient's epoch rises once, however many consents move."""
    after = {patient: Head(patient, 1, {}) for patient in patients} | heads
    moves = list(moves)
    for move in moves:
        after.setdefault(move.patient, Head(move.patient, 1, {}))
        if not isinstance(move, HeadMove) and after[move.patient].epoch != move.epoch:
            raise StaleBasisError("What it rested on has changed.")
    for patient in {move.patient for move in moves if isinstance(move, HeadMove)}:
        consents = dict(after[patient].consents)
        for move in moves:
            if isinstance(move, HeadMove) and move.patient == patient:
                consents.pop(move.consent, None)
                if move.in_force:
                    consents[move.consent] = move.version
        after[patient] = Head(patient, after[patient].epoch + 1, consents)
    return after
