"""Shows each new checkpoint to those outside who vouch for it, and says how far that carries.

sealed-storage section 6: without an anchor outside the operator's control that is younger than 24 hours the log is
operator-attested; a witness of our own does not count.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from fhir_server.audit.ports import LogTree
from fhir_server.crypto import checkpoint, tree
from fhir_server.kernel.clock import Clock

_log = logging.getLogger("fhir_server.anchors")
_FRESH = timedelta(hours=24)

OPERATOR_ATTESTED, WITNESSED, CONTRADICTED = "operator-attested", "witnessed", "contradicted"

Prove = Callable[[int], Awaitable[Sequence[bytes]]]
"""From the size that an anchor saw last: the proof that the log only grew since."""


class AnchorError(Exception):
    """It could not be reached, or does not answer as it should; the next round asks again."""


class ContradictedError(Exception):
    """It saw another log, or a longer one, under this name: what we have was changed or rolled back."""


class Anchor(Protocol):
    """`is_independent`: not under the control of whoever runs this server."""

    @property
    def name(self) -> str: ...

    @property
    def is_independent(self) -> bool: ...

    @property
    def every(self) -> timedelta:
        """It is shown a new checkpoint no more often."""
        ...

    def confirmed(self, note: str, said: str) -> str:
        """What it vouched for, in words, once its evidence for this checkpoint was verified. Raises AnchorError."""
        ...

    async def vouch(self, note: str, prove: Prove) -> str:
        """Its evidence for this checkpoint. Raises AnchorError or ContradictedError."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an anchor said last, and for which size of the log. Empty `said`: it contradicted."""

    size: int
    at: datetime
    said: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The evidence of an anchor for a checkpoint, and its words."""

    anchor: str
    note: str
    said: str
    words: str


class AnchorRows(Protocol):
    async def last(self, anchor: str) -> Evidence | None: ...

    async def keep(self, anchor: str, evidence: Evidence) -> None: ...


class Anchoring:
    def __init__(self, log: LogTree, anchors: Sequence[Anchor], rows: AnchorRows, clock: Clock) -> None:
        self._log, self._anchors, self._rows, self._clock = log, anchors, rows, clock

    async def publish(self) -> None:
        """Show the newest checkpoint to every anchor that did not see it yet."""
        note = await self._log.newest()
        if note is None:
            return
        size = checkpoint.parsed(note).size
        for anchor in self._anchors:
            last = await self._rows.last(anchor.name)
            is_due = last is None or self._clock.now() >= last.at + anchor.every
            if last is None or not last.said or (is_due and last.size != size):
                await self._show(anchor, note, size)

    async def confirmed(self) -> list[Confirmed]:
        """What each anchor vouched for last, verified again. Raises AnchorError where its evidence is none."""
        found = []
        for anchor in self._anchors:
            last = await self._rows.last(anchor.name)
            if last and last.said:
                note = await self._log.signed_at(last.size)
                if note is None:
                    raise AnchorError(f"{anchor.name} saw a checkpoint of {last.size} events, which is not there")
                found.append(Confirmed(anchor.name, note, last.said, anchor.confirmed(note, last.said)))
        return found

    async def assurance(self) -> str:
        """One of the three words above, as it is at this moment."""
        last = [(anchor.is_independent, await self._rows.last(anchor.name)) for anchor in self._anchors]
        if any(evidence and not evidence.said for _, evidence in last):
            return CONTRADICTED
        since = self._clock.now() - _FRESH
        fresh = any(is_independent and evidence and evidence.at >= since for is_independent, evidence in last)
        return WITNESSED if fresh else OPERATOR_ATTESTED

    async def _show(self, anchor: Anchor, note: str, size: int) -> None:
        async def prove(old: int) -> Sequence[bytes]:
            spans = tree.consistency(old, size)
            tiles = await self._log.tiles(sorted(tree.needed(spans)))
            return [tree.hash_of(span, tiles) for span in spans]

        try:
            said = await anchor.vouch(note, prove)
        except AnchorError as error:
            _log.warning("anchor %s: %s", anchor.name, error)
            return
        except ContradictedError as error:
            _log.error("anchor %s contradicts the log: %s", anchor.name, error)
            said = ""
        await self._rows.keep(anchor.name, Evidence(size, self._clock.now(), said))
