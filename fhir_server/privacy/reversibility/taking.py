"""A migration: an archive taken in, with the ids, versions and times that everything had.

HDS certification referential (2024), requirement 27; rows S96, M22. First all of it is read and compared with what was
signed and with what is here, and nothing is written; then it is written. What is here already just as it is in the
archive is left alone: so one that was stopped is given again, and goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fhir_server.crypto.errors import ArchiveError
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import Change, HeadMove, Kept
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.privacy.reversibility import members
from fhir_server.privacy.reversibility.lines import Version, head_of, line_of, listed_as, version_of
from fhir_server.privacy.reversibility.pictures import Pictures
from fhir_server.privacy.reversibility.pieces import Taken, Way
from fhir_server.privacy.reversibility.ports import Arriving
from fhir_server.privacy.reversibility.reading import Reading

_TOGETHER = 100
_MOST_TOGETHER = 8 << 20
_OF_METHOD = {"POST": Interaction.CREATE, "DELETE": Interaction.DELETE, "PATCH": Interaction.PATCH}


@dataclass(slots=True)
class _Progress:
    """`in_force`: which version of a consent its patient's head names. `last`: the line before, and what is here."""

    way: Way
    in_force: dict[ResourceKey, tuple[str, int]] = field(default_factory=dict)
    last: Version | None = None
    here: Stored | None = None


class Taking:
    """`recorder` records every version that is written, for each patient; `server` is who writes."""

    def __init__(
        self, resources: ResourceStore, photos: Arriving, recorder: Step, clock: Clock, new_id: NewId, server: Principal
    ) -> None:
        self._resources, self._recorder, self._clock = resources, recorder, clock
        self._pictures, self._new_id, self._server = Pictures(photos), new_id, server

    async def run(self, reading: Reading) -> Taken:
        """Raises ArchiveError before anything was written, for the first thing that is not as it has to be."""
        await self._through(Way(reading, writes=False))
        return await self._through(Way(reading, writes=True))

    async def _through(self, way: Way) -> Taken:
        progress = _Progress(way)
        while (piece := await way.next()) is not None:
            match piece.folder:
                case members.PHOTOS:
                    await self._pictures.take(way, piece)
                case members.HEADS:
                    _heads(progress, (await way.content(piece)).splitlines())
                case members.RESOURCES:
                    await self._versions(progress, (await way.content(piece)).split(b"\n")[:-1])
                case _:
                    continue  # A list: it is compared by its digest.
        _require_ended(progress)
        return way.taken

    async def _versions(self, progress: _Progress, lines: Sequence[bytes]) -> None:
        versions = [version_of(line) for line in lines]
        current = dict(await self._resources.read_many({one.key for one in versions}))
        fresh: dict[ResourceKey, list[Version]] = {}
        for one, line in zip(versions, lines, strict=True):
            _require_order(progress, one, current)
            here = progress.here
            if here is None or one.version > here.version:
                fresh.setdefault(one.key, []).append(one)
            elif not progress.way.writes:
                await self._compare(one, line)
            progress.last = one
            progress.way.taken.versions += 1
            progress.way.reading.versions.add(listed_as(one.key, one.version, line) + b"\n")
        if progress.way.writes:
            await self._write(progress, fresh, current)

    async def _compare(self, one: Version, line: bytes) -> None:
        stored = await self._resources.read_version(one.key, one.version)
        if stored is None or await line_of(stored) != line:
            raise ArchiveError(f"Another {one.key} is here.")

    async def _write(
        self, progress: _Progress, fresh: dict[ResourceKey, list[Version]], current: dict[ResourceKey, Stored]
    ) -> None:
        """Of each resource the next version, many resources together; then their next ones."""
        while fresh:
            for some in _groups([versions[0] for versions in fresh.values()]):
                changes = [await self._change(progress, one, current.get(one.key)) for one in some]
                for stored in await self._resources.commit(changes):
                    current[stored.key] = stored
                progress.way.taken.new_versions += len(some)
            fresh = {key: versions[1:] for key, versions in fresh.items() if len(versions) > 1}
        if progress.last is not None:
            progress.here = current.get(progress.last.key)

    async def _change(self, progress: _Progress, one: Version, previous: Stored | None) -> Change:
        change = Change(
            one.key,
            one.resource,
            previous,
            one.subjects,
            one.method,
            author=one.author,
            kept=Kept(one.version, one.seq),
        )
        patient, version = progress.in_force.get(one.key, ("", 0))
        if version == one.version:
            change = change.moving_head(HeadMove(patient, one.key, version, in_force=True))
        call = Call(
            _OF_METHOD.get(one.method, Interaction.UPDATE),
            self._server,
            self._clock.now(),
            one.key.type,
            one.key.id,
            request_id=self._new_id(),
        )
        return await self._recorder.prepare(call, change)


def _heads(progress: _Progress, lines: Sequence[bytes]) -> None:
    for line in lines:
        patient, consents = head_of(line)
        progress.in_force |= {consent: (patient, version) for consent, version in consents.items()}


def _require_order(progress: _Progress, one: Version, current: dict[ResourceKey, Stored]) -> None:
    """A list that is sorted has nothing twice."""
    last = progress.last
    if last is not None and _place(one) <= _place(last):
        raise ArchiveError(f"{one.key}: it is out of its order in the archive.")
    if last is None or last.key != one.key:
        _require_ended(progress)
        progress.here = current.get(one.key)


def _require_ended(progress: _Progress) -> None:
    """What is here of a resource ends with what the archive has of it, or before."""
    last, here = progress.last, progress.here
    if last is not None and here is not None and here.version > last.version:
        raise ArchiveError(f"{last.key} is here in a newer version than in the archive.")


def _place(one: Version) -> tuple[str, str, int]:
    return one.key.type, one.key.id, one.version


def _groups(versions: Sequence[Version]) -> Iterator[list[Version]]:
    """What shares a commit: a hundred at most, and not more than a transaction takes."""
    group: list[Version] = []
    size = 0
    for one in versions:
        length = len(one.truth)
        if group and (len(group) == _TOGETHER or size + length > _MOST_TOGETHER):
            yield group
            group, size = [], 0
        group.append(one)
        size += length
    if group:
        yield group
