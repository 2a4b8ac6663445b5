"""Which waiting writes may share one transaction.

Architecture section 6: at most one change per resource and per lock row in a group, at most 200 changes and 8 MB in a
shared one; a bundle of over 100 entries is a group of its own.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError
from fhir_server.store.documents import Row

_MOST_CHANGES = 200
_MOST_BYTES = 8 * 1024 * 1024
_OWN_GROUP = 100


@dataclass(frozen=True, eq=False)
class Unit:
    """The changes of one request: they commit together or not at all. `done` gets the stored versions."""

    rows: tuple[Row, ...]
    done: "asyncio.Future[tuple[Stored, ...]]"

    @cached_property
    def locks(self) -> frozenset[str]:
        """Rows of the database that no other unit of its group may touch."""
        touched: set[str] = set()
        for row in self.rows:
            touched.add(row.id)
            change = row.change
            touched.update(f"Head/{move.patient}" for move in change.heads)
            touched.update(f"Head/{unmoved.patient}" for unmoved in change.unmoved)
            touched.update(f"Photo/{move.photo}" for move in change.blobs)
            touched.update(f"Lock/{token}" for token in row.locks)
            if change.basis:
                touched.add(f"Head/{change.basis.patient}")
        return frozenset(touched)

    @property
    def grants(self) -> frozenset[str]:
        """Of the tokens that these changes are made with."""
        return frozenset(entry.grant for row in self.rows for entry in row.change.audit if entry.grant)

    @cached_property
    def size(self) -> int:
        return sum(len(row.plain) for row in self.rows)

    def __post_init__(self) -> None:
        # Whoever asked may be gone when it fails; nobody is left to tell, which is no fault of its own.
        self.done.add_done_callback(lambda done: done.cancelled() or done.exception())

    def fail(self, error: FhirError) -> None:
        """Tell the waiting request, if it is still there."""
        if not self.done.done():
            self.done.set_exception(error)

    def succeed(self, stored: tuple[Stored, ...]) -> None:
        if not self.done.done():
            self.done.set_result(stored)


def take_group(waiting: deque[Unit]) -> list[Unit]:
    """Take from the front what may share a transaction; what must wait keeps its place in the queue.

    A unit behind one that touches the same row waits as well, so that writes to one row keep their order.
    """
    group: list[Unit] = []
    left: deque[Unit] = deque()
    held: set[str] = set()
    changes = size = 0
    while waiting:
        unit = waiting.popleft()
        locks = unit.locks
        full = group and (changes + len(unit.rows) > _MOST_CHANGES or size + unit.size > _MOST_BYTES)
        alone = len(unit.rows) > _OWN_GROUP
        if held & locks or full or (alone and group):
            held |= locks
            left.append(unit)
            continue
        group.append(unit)
        held |= locks
        changes, size = changes + len(unit.rows), size + unit.size
        if alone:
            break
    left.extend(waiting)
    waiting.clear()
    waiting.extend(left)
    return group


def halves(group: Sequence[Unit]) -> tuple[Sequence[Unit], Sequence[Unit]]:
    """Between requests, never inside one."""
    middle = len(group) // 2
    return group[:middle], group[middle:]
