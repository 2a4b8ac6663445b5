"""The five phases every interaction passes, and the order steps run in.

Architecture, section 2: admit, narrow, prepare, disclose, conclude. `foresee` is no phase: it only saves look-ups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError
from fhir_server.search.tree import Query

_PHASES = frozenset({"admit", "narrow", "prepare", "foresee", "disclose", "conclude"})


@dataclass(frozen=True, slots=True)
class Result:
    """How a call ended: what was disclosed, or the failure that it ended in. A committed write recorded itself."""

    disclosed: tuple[Stored, ...] = ()
    committed: bool = False
    failure: FhirError | None = None


class Step:
    """One concern. Override the phases it cares about; the rest pass through."""

    def __init_subclass__(cls) -> None:
        """Refuse a misspelt phase: it would silently do nothing."""
        strangers = {name for name in vars(cls) if not name.startswith("_")} - _PHASES
        if strangers:
            raise TypeError(f"{cls.__name__} defines {sorted(strangers)}; a Step has only {sorted(_PHASES)}.")

    async def admit(self, call: Call) -> None:
        """May this call be tried at all? Raises UnauthenticatedError or ForbiddenError."""

    async def narrow(self, call: Call, query: Query) -> Query:
        """Which resources may it see? Adds Mandates."""
        return query

    async def prepare(self, call: Call, change: Change) -> Change:
        """May this write be, and what else belongs to it? Returns a richer Change, or raises."""
        return change

    async def foresee(self, call: Call, found: Sequence[Stored]) -> None:
        """These are disclosed next: what that takes is looked up once for all, rather than for each."""

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        """What of this may leave? Itself, a masked copy, or None where its existence is not to be told.

        Raises NoLegalBasisError where it may be known but not seen.
        """
        return stored

    async def conclude(self, call: Call, result: Result) -> None:
        """What happened? Runs on success and on failure; the answer leaves after it."""


class Pipeline(Step):
    """Steps in order; itself a Step. A phase asks those that have something to say in it."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._admit = _of(steps, "admit")
        self._narrow = _of(steps, "narrow")
        self._prepare = _of(steps, "prepare")
        self._foresee = _of(steps, "foresee")
        self._disclose = _of(steps, "disclose")
        self._conclude = _of(steps, "conclude")

    async def admit(self, call: Call) -> None:
        for step in self._admit:
            await step.admit(call)

    async def narrow(self, call: Call, query: Query) -> Query:
        for step in self._narrow:
            query = await step.narrow(call, query)
        return query

    async def prepare(self, call: Call, change: Change) -> Change:
        for step in self._prepare:
            change = await step.prepare(call, change)
        return change

    async def foresee(self, call: Call, found: Sequence[Stored]) -> None:
        for step in self._foresee:
            await step.foresee(call, found)

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        seen: Stored | None = stored
        for step in self._disclose:
            if seen is None:
                return None
            seen = await step.disclose(call, seen)
        return seen

    async def conclude(self, call: Call, result: Result) -> None:
        for step in self._conclude:
            await step.conclude(call, result)


def _of(steps: Sequence[Step], phase: str) -> tuple[Step, ...]:
    """Those that override a phase: the others would only be asked and pass it through."""
    return tuple(step for step in steps if getattr(type(step), phase) is not getattr(Step, phase))
