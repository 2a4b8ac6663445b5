"""All that one clinic stores, as dictionaries; the fakes of one clinic share it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fhir_server.engine.ports import Head
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.clock import Clock, microseconds
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.ports import Photo


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
    events: dict[tuple[str, int], bytes] = field(default_factory=dict)
    last_seq: int = 0

    def next_seq(self) -> int:
        self.last_seq = max(self.last_seq + 1, microseconds(self.clock.now()))
        return self.last_seq

    def number_event(self, writer: str) -> int:
        return sum(lane == writer for lane, _ in self.events) + 1


def moment(seq: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=seq // 1000)
