"""The client's side of an export: begin it, ask how far it is, fetch its files, end it.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html. A file is no copy: it lists versions, and each download reads them
again under every rule that holds then. What was erased, or may not be seen any more, takes the file with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.engine.visible import shown
from fhir_server.export.asked import Asked
from fhir_server.export.job import CLOCK_SKEW, LIFETIME, LONGEST_COMMIT, File, Job, Line
from fhir_server.export.members import members_of
from fhir_server.export.ports import Jobs
from fhir_server.export.selection import filters_of
from fhir_server.kernel.clock import Clock, microseconds
from fhir_server.kernel.errors import ForbiddenError, GoneError, NotFoundError, TooManyRequestsError
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.kernel.json import Json

MOST_RUNNING = 10
"""Exports of one client at a time (R-BULK-017)."""

_READ_TOGETHER = 100


@dataclass(frozen=True, slots=True)
class Contents:
    """A file of a job, and of an output file what it holds, as the caller may see it now."""

    job: Job
    file: File
    resources: Sequence[Stored] = ()
    ids: Sequence[str] = ()


class Exports:
    """`base` is the server's own FHIR base; `may`: is the caller one who exports at all?"""

    def __init__(
        self, engine: Engine, jobs: Jobs, clock: Clock, new_id: NewId, base: str, may: Callable[[Call], bool]
    ) -> None:
        self._engine, self._jobs, self._clock, self._new_id, self._base = engine, jobs, clock, new_id, base
        self._may = may

    async def begin(self, call: Call, asked: Asked, url: str) -> Job:
        """Raises ForbiddenError for a role that does not export or a type it may not search, TooManyRequestsError."""
        async with self._engine.attempt(call):
            return await self._begun(call, asked, url)

    async def _begun(self, call: Call, asked: Asked, url: str) -> Job:
        if not self._may(call):
            raise ForbiddenError("Exports are for services; your role lists what it may see by searching.")
        types = await self._types(call, asked)
        for type in types:
            filters_of(type, asked.filters, self._engine.language)
        members = await members_of(self._engine, call, asked)
        if await self._jobs.running(call.principal.client_id) >= MOST_RUNNING:
            raise TooManyRequestsError(f"{MOST_RUNNING} exports of this client are under way; wait, or end one.")
        until = microseconds(call.instant)
        # What the worker does later rests on the client's registration and scopes, not on a token that has expired.
        holder = replace(call.principal, grant="")
        expires = call.instant + LIFETIME
        job = Job(self._new_id(), holder, call.purpose, asked, types, members, url, until, expires)
        await self._jobs.add(job, call.instant + LONGEST_COMMIT + CLOCK_SKEW)
        return job

    async def status(self, call: Call, id: str) -> Job:
        """Raises NotFoundError for a job of somebody else's, as for none."""
        job = await self._mine(call, id)
        await self._engine.described(call)
        return job

    async def end(self, call: Call, id: str) -> None:
        """Stop it, or forget what it made."""
        job = await self._mine(call, id)
        if not await self._jobs.remove(job):
            await self._unknown(call)
        await self._engine.described(call)

    async def fetch(self, call: Call, id: str, name: str) -> Contents:
        """Raises GoneError where something in the file was erased, or may not be seen any more."""
        job = await self._mine(call, id)
        file = job.file(name)
        lines = await self._jobs.lines(name) if file else None
        if file is None or lines is None:
            await self._unknown(call)
        asking = replace(call, interaction=Interaction.SEARCH_TYPE, type=file.type, id=None, operation=None)
        if file.kind == "deleted":
            await self._engine.steps.admit(asking)
            await self._engine.described(call)
            return Contents(job, file, ids=[line.id for line in lines])

        async def once(attempt: Attempt) -> Contents:
            await self._engine.steps.admit(asking)
            found: list[Stored] = []
            for start in range(0, len(lines), _READ_TOGETHER):
                found += await self._seen(asking, file.type, lines[start : start + _READ_TOGETHER])
            attempt.disclosed.extend(found)
            view = job.asked.view(file.type)
            return Contents(job, file, [self._reachable(stored).seen_through(view) for stored in found])

        return await disclosing(self._engine.steps, asking, once)

    async def _seen(self, call: Call, type: str, lines: Sequence[Line]) -> list[Stored]:
        """Each version as it may be shown now; decided on as it was and, where it is still there, as it is."""
        current = await self._engine.store.read_many([ResourceKey(type, line.id) for line in lines])
        await self._engine.steps.foresee(call, list(current.values()))
        found = []
        for line in lines:
            key = ResourceKey(type, line.id)
            now = current.get(key)
            then = now
            if now is not None and now.version != line.version:
                then = await self._engine.store.read_version(key, line.version)
                if not now.deleted and await shown(self._engine.steps, call, now) is None:
                    then = None
            seen = await shown(self._engine.steps, call, then) if then is not None and not then.deleted else None
            if seen is None:
                raise GoneError("Something in this file was erased, or may not be seen any more: export again.")
            found.append(seen)
        return found

    def _reachable(self, stored: Stored) -> Stored:
        """R-BULK-032: whoever reads the file elsewhere finds the bytes of a photo."""
        content: Json = stored.resource.get("content", {}) if stored.key.type == "Media" else {}
        url = content.get("url", "")
        if not url.startswith("Binary/"):
            return stored
        return stored.showing({**stored.resource, "content": {**content, "url": f"{self._base}/{url}"}})

    async def _types(self, call: Call, asked: Asked) -> tuple[str, ...]:
        """R-BULK-015: a type that is named must be granted; of the others those that are."""
        granted, refused = [], []
        for type in asked.possible:
            searching = replace(call, interaction=Interaction.SEARCH_TYPE, type=type, id=None, operation=None)
            try:
                await self._engine.steps.admit(searching)
            except ForbiddenError as error:
                refused.append(error)
            else:
                granted.append(type)
        if refused and (asked.types or not granted):
            raise refused[0]
        return tuple(granted)

    async def _mine(self, call: Call, id: str) -> Job:
        """R-BULK-027."""
        job = await self._jobs.get(id) if self._may(call) else None
        if job is None or job.principal.client_id != call.principal.client_id or job.expires <= self._clock.now():
            await self._unknown(call)
        return job

    async def _unknown(self, call: Call) -> NoReturn:
        failure = NotFoundError("There is no such export, or it was ended.")
        await self._engine.refused(call, failure)
        raise failure
