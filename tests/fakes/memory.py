"""All that one clinic stores, as dictionaries; the fakes of one clinic share it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from fhir_server.engine.change import AuditEntry
from fhir_server.engine.ports import Head
from fhir_server.engine.stored import Stored, truth
from fhir_server.engine.tasks import Task
from fhir_server.fhir.compartments import memberships, subjects
from fhir_server.kernel import json
from fhir_server.kernel.clock import Clock, microseconds
from fhir_server.kernel.errors import EndedTokenError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import Photo


class Relying(Protocol):
    @property
    def grant(self) -> str: ...


@dataclass
class QueuedTask:
    task: Task
    due: datetime
    attempts: int = 0


@dataclass
class Memory:
    clock: Clock
    base: str = ""
    current: dict[ResourceKey, Stored] = field(default_factory=dict)
    versions: dict[tuple[ResourceKey, int], Stored] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    photos: dict[str, Photo] = field(default_factory=dict)
    bytes_of: dict[str, bytes] = field(default_factory=dict)
    tasks: dict[str, QueuedTask] = field(default_factory=dict)
    events: dict[tuple[str, int], tuple[int, bytes]] = field(default_factory=dict)
    ended_grants: set[str] = field(default_factory=set)
    last_seq: int = 0

    def next_seq(self) -> int:
        self.last_seq = max(self.last_seq + 1, microseconds(self.clock.now()))
        return self.last_seq

    def require_granted(self, entries: Iterable[Relying]) -> None:
        if any(entry.grant in self.ended_grants for entry in entries):
            raise EndedTokenError

    def record(self, writer: str, entry: AuditEntry) -> None:
        """Under the writer's next number."""
        number = sum(lane == writer for lane, _ in self.events) + 1
        seq = max(self.last_seq, microseconds(self.clock.now()))
        self.events[writer, number] = (seq, entry.event(f"{writer}-{number}", moment(seq)))

    def recorded(self) -> list[Stored]:
        """The events as resources."""
        found = []
        for (writer, number), (seq, event) in self.events.items():
            key, resource = ResourceKey("AuditEvent", f"{writer}-{number}"), json.decode(event)
            places = memberships(resource, self.base), subjects(resource, self.base)
            found.append(Stored(key, 1, seq, moment(seq), truth(key, resource), *places))
        return found


def moment(seq: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=seq // 1000)
