"""AuditEvents that clients send: they go into the log beside the server's own, under the next numbers of the same lane.

R-BALP-019; sealed-storage section 6: an event's id is its writer and its number, which are known at the commit alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from fhir_server.engine.integrity import LOG
from fhir_server.engine.stored import Stored, truth
from fhir_server.kernel.identity import ResourceKey
from fhir_server.store.documents import Row, moment


class Event(Protocol):
    def event(self, event_id: str, recorded: datetime) -> bytes: ...


class Received:
    """One event as it was sent. It learns its id when it is numbered; after an abort it is numbered again."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.key = row.change.key
        self._truth = b""

    @property
    def promised(self) -> str:
        """The id under which the change went through the steps; random, so it stands for nothing else."""
        return self._row.change.key.id

    def event(self, event_id: str, recorded: datetime) -> bytes:
        assert self._row.change.resource is not None
        self.key = ResourceKey(LOG, event_id)
        self._truth = truth(self.key, self._row.change.resource)
        return self._truth

    def stored(self, seq: int) -> Stored:
        """The version that it is, once it is numbered."""
        method = {"method": self._row.change.method}
        row = self._row
        return Stored(self.key, 1, seq, moment(seq), self._truth, row.access, row.subjects, raw=method)


class About:
    """What is recorded of a received event: it names it by the id that it got."""

    def __init__(self, entry: Event, received: Received) -> None:
        self._entry, self._received = entry, received

    def event(self, event_id: str, recorded: datetime) -> bytes:
        said = self._entry.event(event_id, recorded)
        return said.replace(self._received.promised.encode(), self._received.key.id.encode())


def received_of(rows: Sequence[Row]) -> Mapping[str, Received]:
    """Those of the rows that are events, by the promised `AuditEvent/id`."""
    return {row.id: Received(row) for row in rows if row.change.key.type == LOG}


def events_of(rows: Sequence[Row], received: Mapping[str, Received]) -> Iterator[tuple[str, Event]]:
    """All that goes into the log, each with its row, in their order; a received event before what is recorded of it."""
    for row in rows:
        id = row.id
        sent = received.get(id)
        if sent is not None:
            yield id, sent
        for entry in row.change.audit:
            yield id, entry if sent is None else About(entry, sent)
