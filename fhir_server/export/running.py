"""The worker's side of an export: one step lists the versions of one file and is saved before the next begins.

Three stages: what is current and not newer than transactionTime; what changed since, as it was then; what was deleted.
https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status (transactionTime); R-BULK-024, -033.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.engine.window import Window
from fhir_server.export.job import Cursor, File, Job, Kind, Line
from fhir_server.export.ports import Jobs
from fhir_server.export.selection import Selection
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import FhirError, ForbiddenError, UnavailableError
from fhir_server.kernel.identity import NewId

MOST_LINES = 1_000
MOST_BYTES = 4 << 20
"""Of one file: it is put together in memory when it is fetched."""

_BATCH = 200
_LATE = timedelta(seconds=60)
"""How long before transactionTime a version may have been stamped that became visible after we looked for it."""
_SLICE = timedelta(seconds=20)
"""A third of a task's lease: then another task goes on."""


@dataclass(slots=True)
class _Listing:
    """A file that grows until it is full."""

    lines: list[Line] = field(default_factory=list)
    size: int = 0

    def add(self, stored: Stored) -> None:
        self.lines.append(Line(stored.key.id, stored.version))
        self.size += sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in stored.pieces)

    @property
    def is_full(self) -> bool:
        return len(self.lines) >= MOST_LINES or self.size >= MOST_BYTES


class Running:
    """A handler of the worker."""

    def __init__(self, engine: Engine, jobs: Jobs, clock: Clock, new_id: NewId) -> None:
        self._engine, self._jobs, self._clock, self._new_id = engine, jobs, clock, new_id

    async def __call__(self, task: Task) -> None:
        """Go on with the job that the task names, for a while. Raises UnavailableError to be asked again."""
        job = await self._jobs.get(task.cause)
        pause = self._clock.now() + _SLICE
        while job is not None and job.state == "active":
            if self._clock.now() > pause:
                await self._jobs.again(job, self._clock.now())
                return
            try:
                step = await self._step(job)
            except UnavailableError:
                raise
            except FhirError as failure:
                issue = failure.issues[0]
                step = replace(job, state="failed", failure=(failure.status, issue.code, issue.diagnostics))
            job = await self._jobs.save(step)

    async def _step(self, job: Job) -> Job:
        match job.cursor.stage:
            case "current":
                return await self._current(job)
            case "changed":
                return await self._changed(job)
            case "deleted":
                return await self._deleted(job)
            case "end":
                return replace(job, state="done")

    async def _current(self, job: Job) -> Job:
        """The next file of the type at the cursor; in the order of seq, so that what is newer ends it."""
        index, place = job.cursor.index, job.cursor.after
        if index == len(job.types):
            return job.next(Cursor("changed"), None)
        selection = await self._selection(job, job.types[index])
        if selection is None:
            return job.next(Cursor("current", index + 1), None)
        if place is None and job.since is not None:
            place = Position(job.since // 1000 * 1000, "")
        listing = _Listing()
        while not listing.is_full:
            found = await self._engine.store.find(selection.query, place, _BATCH)
            for seen in await selection.shown(
                [match for match in found.matches if match.seq <= job.until and self._is_new(job, match)]
            ):
                listing.add(seen)
            place = found.position
            if place is None or place.seq > job.until:
                following = Cursor("current", index + 1)
                return job.next(following, await self._file(job, "output", job.types[index], listing.lines))
        following = Cursor("current", index, place)
        return job.next(following, await self._file(job, "output", job.types[index], listing.lines))

    async def _changed(self, job: Job) -> Job:
        """What was replaced or deleted since then, as it was; and what became visible late. A file for each type."""
        after_changes = Cursor("deleted") if job.since is not None else Cursor("end")
        if job.cursor.index == len(job.types):
            return job.next(after_changes, None)
        type = job.types[job.cursor.index]
        following = Cursor("changed", job.cursor.index + 1)
        selection = None if type == "AuditEvent" else await self._selection(job, type)
        if selection is None:
            return job.next(following, None)
        early = job.until - int(_LATE.total_seconds() * 1_000_000)
        listing, place = _Listing(), job.cursor.after
        while not listing.is_full:
            newer = await self._engine.store.versions({type}, None, Window(since=max(early, 0)), place, _BATCH)
            current = await self._engine.store.read_many({one.key for one in newer})
            then = [one for each in newer if (one := await self._then(job, each, current.get(each.key))) is not None]
            known = await self._listed(job, type, {one.key.id for one in then})
            missing = [one for one in then if one.key.id not in known and not one.deleted and self._is_new(job, one)]
            for seen in await selection.met(missing):
                listing.add(seen)
            if len(newer) < _BATCH:
                return job.next(following, await self._file(job, "output", type, listing.lines))
            place = _place(newer[-1])
        here = Cursor("changed", job.cursor.index, place)
        return job.next(here, await self._file(job, "output", type, listing.lines))

    async def _then(self, job: Job, stored: Stored, current: Stored | None) -> Stored | None:
        """What was current at transactionTime, told once: by the first version after it, or by itself if it still is.

        None where this version does not tell it.
        """
        if stored.seq > job.until:
            before = (
                await self._engine.store.read_version(stored.key, stored.version - 1) if stored.version > 1 else None
            )
            return before if before is not None and before.seq <= job.until else None
        return stored if current is not None and current.version == stored.version else None

    async def _deleted(self, job: Job) -> Job:
        """What a client that has it from before must forget (R-BULK-033)."""
        listings: dict[str, list[Line]] = {}
        place: Position | None = Position(job.until + 1, "")
        window = Window(since=job.since)
        types = frozenset(job.types) - {"AuditEvent"}
        while types:
            versions = await self._engine.store.versions(types, None, window, place, _BATCH)
            for stored in versions:
                if stored.deleted and self._is_new(job, stored) and await self._is_end(job, stored):
                    selection = await self._selection(job, stored.key.type)
                    if selection is not None and await selection.tells_end(stored):
                        listings.setdefault(stored.key.type, []).append(Line(stored.key.id, 0))
            if len(versions) < _BATCH:
                break
            place = _place(versions[-1])
        for type, lines in sorted(listings.items()):
            for start in range(0, len(lines), MOST_LINES):
                job = job.next(job.cursor, await self._file(job, "deleted", type, lines[start : start + MOST_LINES]))
        return job.next(Cursor("end"), None)

    async def _is_end(self, job: Job, stored: Stored) -> bool:
        """Was it still deleted at transactionTime?"""
        at = Position(job.until + 1, "")
        newest = await self._engine.store.versions({stored.key.type}, stored.key.id, Window(), at, 1)
        return bool(newest) and newest[0].version == stored.version

    async def _selection(self, job: Job, type: str) -> Selection | None:
        """None where the client may not search the type any more."""
        now = self._clock.now()
        call = Call(Interaction.SEARCH_TYPE, job.principal, now, type, purpose=job.purpose, request_id=job.id)
        try:
            return await Selection.of(self._engine, job, call, type)
        except ForbiddenError:
            return None

    def _is_new(self, job: Job, stored: Stored) -> bool:
        """After `_since`: as it is written, to the millisecond (R-BULK-008)."""
        return job.since is None or stored.seq // 1000 > job.since // 1000

    async def _listed(self, job: Job, type: str, ids: set[str]) -> set[str]:
        """Those of them that a file of this job holds."""
        found: set[str] = set()
        for file in job.of("output") if ids else ():
            if file.type == type:
                found |= {line.id for line in await self._jobs.lines(file.id) or ()} & ids
        return found

    async def _file(self, job: Job, kind: Kind, type: str, lines: Sequence[Line]) -> File | None:
        if not lines:
            return None
        file = File(self._new_id(), kind, type, len(lines))
        await self._jobs.write(job, file.id, lines)
        return file


def _place(stored: Stored) -> Position:
    return Position(stored.seq, f"{stored.key}/{stored.version}")
