"""A ResourceStore in memory. Searching asks `search.match` about every resource, which makes it the slow oracle."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fhir_server.engine.change import AuditEntry, Change, Condition
from fhir_server.engine.ports import Found, Present
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored, truth
from fhir_server.engine.window import Window
from fhir_server.fhir.compartments import memberships
from fhir_server.kernel.errors import ConditionChangedError, ConflictError, StaleVersionError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.ports import Photo
from fhir_server.search.match import Candidate, matches
from fhir_server.search.tree import Query
from tests.fakes.heads import moved
from tests.fakes.memory import Memory, QueuedTask, moment

WRITER = "commits"
_THROUGH_TARGETS = {"Provenance", "Task", "Binary", "Device"}


class FakeResources:
    """`failures`: raised by the next commits, one each, before anything is written."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.failures: deque[Exception] = deque()

    async def read(self, key: ResourceKey) -> Stored | None:
        if key.type == "AuditEvent":
            return next((event for event in self._memory.recorded() if event.key == key), None)
        return self._memory.current.get(key)

    async def read_many(self, keys: Collection[ResourceKey]) -> Mapping[ResourceKey, Stored]:
        return {key: self._memory.current[key] for key in keys if key in self._memory.current}

    async def read_version(self, key: ResourceKey, version: int) -> Stored | None:
        return self._memory.versions.get((key, version))

    async def present(self, keys: Collection[ResourceKey]) -> Mapping[ResourceKey, Present]:
        found = {key: await self.read(key) for key in keys}
        return {key: Present(one.version, one.access) for key, one in found.items() if one and not one.deleted}

    async def referring(self, key: ResourceKey, apart_from: Collection[str], limit: int) -> list[Stored]:
        alive = [stored for stored in self._memory.current.values() if not stored.deleted]
        found = [one for one in alive if one.key.type not in apart_from and key in references(one.resource)]
        return found[:limit]

    async def versions(
        self, types: Collection[str], id: str | None, window: Window, before: Position | None, limit: int
    ) -> list[Stored]:
        """Newest first; a version is current until the next one of its resource."""
        made = dict(self._memory.versions)
        if "AuditEvent" in types:
            made |= {(event.key, 1): replace(event, raw={"method": "POST"}) for event in self._memory.recorded()}
        until: dict[tuple[ResourceKey, int], int] = {}
        for (key, version), stored in made.items():
            until[key, version - 1] = stored.seq
        found = [
            stored
            for stored in made.values()
            if stored.key.type in types
            and id in (None, stored.key.id)
            and within(window, stored.seq, until.get((stored.key, stored.version)))
            and (before is None or (stored.seq, f"{stored.key}/{stored.version}") < (before.seq, before.id))
        ]
        return sorted(found, key=lambda stored: (stored.seq, str(stored.key)), reverse=True)[:limit]

    async def find(self, query: Query, after: Position | None, limit: int) -> Found:
        found = [stored for stored in self._in_order(query, after) if _matches(query, stored)]
        page = found[:limit]
        position = Position(page[-1].seq, str(page[-1].key)) if len(found) > limit else None
        return Found(tuple(page), position, len(page))

    async def commit(self, changes: Sequence[Change]) -> tuple[Stored, ...]:
        """Everything is worked out before anything is put in its place."""
        if self.failures:
            raise self.failures.popleft()
        self._memory.require_granted(entry for change in changes for entry in change.audit)
        for change in changes:
            current = self._memory.current.get(change.key)
            if (current.version if current else None) != (change.previous.version if change.previous else None):
                raise StaleVersionError("The resource was changed in the meantime.")
            self._require(change.condition)
        stored = [self._next(change, changes) for change in changes]
        patients = [patient for one in stored for patient in one.subjects]
        moves = [m for c in changes for m in (*c.heads, *c.unmoved, *((c.basis,) if c.basis else ()))]
        heads = moved(self._memory.heads, patients, moves)
        photos = self._flipped(changes)
        self._memory.heads = heads
        self._memory.photos.update(photos)
        for place, (change, one) in enumerate(zip(changes, stored, strict=True)):
            if change.key.type == "AuditEvent":
                stored[place] = self._received(change, one)
            else:
                self._memory.current[one.key] = self._memory.versions[one.key, one.version] = one
                self._record(change)
        return tuple(stored)

    def _received(self, change: Change, promised: Stored) -> Stored:
        """It goes into the log under the writer's next number, and what is recorded of it names it by that."""
        sent = Sent(promised.resource)
        self._memory.record(WRITER, sent)
        for entry in change.audit:
            self._memory.record(WRITER, Renamed(entry, change.key.id, sent.id))
        key = ResourceKey("AuditEvent", sent.id)
        return replace(promised, key=key, truth=truth(key, promised.resource))

    def _require(self, condition: Condition | None) -> None:
        if condition is None:
            return
        alive = [stored for stored in self._memory.current.values() if not stored.deleted]
        if {stored.key for stored in alive if _matches(condition.query, stored)} != condition.expected:
            raise ConditionChangedError("What the criteria match has changed in the meantime.")

    def _record(self, change: Change) -> None:
        for task in change.tasks:
            self._memory.tasks[f"task-{len(self._memory.tasks) + 1}"] = QueuedTask(task, self._memory.clock.now())
        for entry in change.audit:
            self._memory.record(WRITER, entry)

    def _next(self, change: Change, together: Sequence[Change]) -> Stored:
        seq = self._memory.next_seq()
        if change.resource is None:
            access = change.previous.access if change.previous else ()
            raw, subjects = b"{}", change.subjects
        else:
            access = memberships(change.resource, self._memory.base)
            raw, subjects = truth(change.key, change.resource), self._subjects(change, together)
        deleted = change.resource is None
        return Stored(
            change.key, change.version, seq, moment(seq), raw, access, subjects, deleted, author=change.author
        )

    def _subjects(self, change: Change, together: Sequence[Change]) -> tuple[str, ...]:
        if change.key.type not in _THROUGH_TARGETS or change.resource is None:
            return change.subjects
        beside = {other.key: other.subjects for other in together}
        stored = {key: one.subjects for key, one in self._memory.current.items()}
        through = [(stored | beside).get(key, ()) for key in references(change.resource)]
        return tuple(sorted({*change.subjects, *(patient for patients in through for patient in patients)}))

    def _flipped(self, changes: Sequence[Change]) -> dict[str, Photo]:
        photos: dict[str, Photo] = {}
        for move in [move for change in changes for move in change.blobs]:
            photo = photos.get(move.photo) or self._memory.photos.get(move.photo)
            if photo is None or photo.state != move.before:
                raise ConflictError("The bytes of a photo are not in the state that the change needs.")
            photos[move.photo] = replace(photo, state=move.after, since=self._memory.clock.now())
        return photos

    def _in_order(self, query: Query, after: Position | None) -> list[Stored]:
        by_id = bool(query.sort) and query.sort[0].by == "_id"
        backwards = bool(query.sort) and query.sort[0].descending
        everything = self._memory.recorded() if query.type == "AuditEvent" else self._memory.current.values()
        rows = sorted(
            (stored for stored in everything if not stored.deleted),
            key=lambda stored: _place(stored.seq, str(stored.key), by_id=by_id),
            reverse=backwards,
        )
        if after is None:
            return rows
        here = _place(after.seq, after.id, by_id=by_id)
        places = {row.key: _place(row.seq, str(row.key), by_id=by_id) for row in rows}
        return [row for row in rows if (places[row.key] < here if backwards else places[row.key] > here)]


@dataclass
class Sent:
    """An event that a client sent; its id is the one under which it was recorded last."""

    resource: Json
    id: str = ""
    grant: str = ""

    def event(self, event_id: str, recorded: datetime) -> bytes:
        self.id = event_id
        return truth(ResourceKey("AuditEvent", event_id), self.resource)


@dataclass
class Renamed:
    entry: AuditEntry
    old: str
    new: str
    grant: str = ""

    def event(self, event_id: str, recorded: datetime) -> bytes:
        return self.entry.event(event_id, recorded).replace(self.old.encode(), self.new.encode())


def _place(seq: int, id: str, *, by_id: bool) -> tuple[int, str]:
    return (0, id) if by_id else (seq, id)


def _matches(query: Query, stored: Stored) -> bool:
    access = frozenset(stored.access)
    return matches(query, Candidate(stored.key.type, stored.key.id, stored.last_updated, access, stored.resource))


def within(window: Window, seq: int, until: int | None) -> bool:
    """Bounds given to the millisecond include all of it."""
    if window.since is not None and seq < window.since // 1000 * 1000:
        return False
    if window.at is None:
        return True
    return seq < window.at[1] and (until is None or until > window.at[0])


def references(value: object) -> list[ResourceKey]:
    """Every local reference anywhere in a resource."""
    if isinstance(value, dict):
        node: Json = value
        key = parse_reference(node["reference"]) if isinstance(node.get("reference"), str) else None
        return [*([key] if key else []), *(found for child in node.values() for found in references(child))]
    return [found for child in value for found in references(child)] if isinstance(value, list) else []
