"""The FHIR interactions, once, for every resource type.

https://hl7.org/fhir/R4/http.html
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.drafts import Drafts
from fhir_server.engine.pipeline import Result, Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import (
    FhirError,
    GoneError,
    NoLegalBasisError,
    NotFoundError,
    StaleBasisError,
    TooCostlyError,
    VersionConflictError,
)
from fhir_server.kernel.json import Json
from fhir_server.search.tree import Query

_MOST_TRIES = 5
"""How often a write without If-Match is tried again on top of somebody else's, and a decision that went stale."""


@dataclass(frozen=True, slots=True)
class Page:
    """Matches in order; `next` where there is more; `total` where it is known exactly."""

    matches: tuple[Stored, ...]
    next: Position | None = None
    total: int | None = None


@dataclass(slots=True)
class Attempt:
    """What an interaction has to say when it ends."""

    disclosed: list[Stored] = field(default_factory=list)
    committed: bool = False


class Engine:
    """`most_candidates`: how many rows one search may open before it is refused as too costly."""

    def __init__(self, store: ResourceStore, steps: Step, drafts: Drafts, most_candidates: int = 2000) -> None:
        self.steps, self.store, self.drafts = steps, store, drafts
        self._most_candidates = most_candidates

    async def create(self, call: Call, resource: object) -> Stored:
        """A new resource under a fresh id."""
        async with self.attempt(call) as attempt:
            return await self._commit(attempt, await self.drafts.create(call, resource))

    async def update(self, call: Call, resource: object, if_match: int | None = None) -> Stored:
        """A new version of one resource, or the first under the client's own id."""
        async with self.attempt(call) as attempt:
            for again in range(_MOST_TRIES):
                try:
                    return await self._commit(attempt, await self.drafts.update(call, resource, if_match))
                except VersionConflictError:
                    if if_match is not None or again == _MOST_TRIES - 1:
                        raise
            raise AssertionError  # pragma: no cover  the loop returns or raises

    async def delete(self, call: Call, if_match: int | None = None) -> Stored | None:
        """Mark as deleted. None where there is nothing to delete, which is no error."""
        async with self.attempt(call) as attempt:
            change = await self.drafts.delete(call, if_match)
            return await self._commit(attempt, change) if change else None

    async def amend(self, call: Call, edit: Callable[[Json], Json | None]) -> Stored:
        """Read, edit, write: what operations share. `edit` gives None where there is nothing to change."""
        async with self.attempt(call) as attempt:
            for again in range(_MOST_TRIES):
                await self.steps.admit(call)
                current = await self.look(call)
                edited = edit(current.resource)
                if edited is None:
                    attempt.disclosed.append(current)
                    return current
                try:
                    change = self.drafts.of(current.key, edited, current)
                    return await self._commit(attempt, await self.drafts.prepared(call, change))
                except VersionConflictError:
                    if again == _MOST_TRIES - 1:
                        raise
            raise AssertionError  # pragma: no cover  the loop returns or raises

    async def commit(self, call: Call, change: Change) -> Stored:
        """A change that a duty of the server drew up itself: it passes the steps like any other."""
        async with self.attempt(call) as attempt:
            return await self._commit(attempt, await self.drafts.prepared(call, change))

    async def read(self, call: Call) -> Stored:
        """The current version, or with `call.version` that one."""
        for again in range(_MOST_TRIES):
            try:
                return await self._read(call)
            except StaleBasisError:
                if again == _MOST_TRIES - 1:
                    raise
                call.trace.forget()
        raise AssertionError  # pragma: no cover  the loop returns or raises

    async def _read(self, call: Call) -> Stored:
        async with self.attempt(call) as attempt:
            await self.steps.admit(call)
            seen = await self.look(call)
            attempt.disclosed.append(seen)
            return seen

    async def look(self, call: Call) -> Stored:
        """What the caller may see of one resource: 404 for unknown or hidden, 410 for deleted and not hidden."""
        key = call.key
        if key is None:
            raise NotFoundError("There is no resource with this id.")
        if call.version is None:
            stored = await self.store.read(key)
        else:
            stored = await self.store.read_version(key, call.version)
        seen = await self.steps.disclose(call, stored) if stored else None
        if seen is None:
            raise NotFoundError("There is no resource with this id.")
        if seen.deleted:
            raise GoneError("The resource was deleted.")
        return seen

    async def search(self, call: Call, query: Query, after: Position | None = None) -> Page:
        """One page of what matches and the caller may see."""
        for again in range(_MOST_TRIES):
            try:
                return await self._search(call, query, after)
            except StaleBasisError:
                if again == _MOST_TRIES - 1:
                    raise
                call.trace.forget()
        raise AssertionError  # pragma: no cover  the loop returns or raises

    async def _search(self, call: Call, query: Query, after: Position | None) -> Page:
        async with self.attempt(call) as attempt:
            await self.steps.admit(call)
            narrowed = await self.steps.narrow(call, query)
            if query.counting or query.total == "accurate":
                page = await self._counted(call, narrowed, after)
            else:
                page = await self._page(call, narrowed, after, query.count)
            attempt.disclosed.extend(page.matches)
            return page

    async def _page(self, call: Call, query: Query, after: Position | None, count: int) -> Page:
        """The first `count` matches after a position; one more is looked for, to know whether a page follows."""
        seen: list[Stored] = []
        position, looked = after, 0
        while len(seen) <= count:
            found = await self.store.find(query, position, count + 1 - len(seen))
            looked += found.looked
            seen += [one for match in found.matches if (one := await self._disclosed(call, match))]
            position = found.position
            if position is None:
                break
            if looked > self._most_candidates:
                raise TooCostlyError("Too many resources must be opened to answer; narrow the search.")
        if len(seen) <= count:
            return Page(tuple(seen), None, len(seen) if after is None else None)
        last = seen[count - 1]
        return Page(tuple(seen[:count]), Position(last.seq, str(last.key)))

    async def _counted(self, call: Call, query: Query, after: Position | None) -> Page:
        """An exact total is had by opening every match, so it has a bound."""
        everything = await self._page(call, query, None, self._most_candidates)
        if everything.next:
            raise TooCostlyError(f"An exact total is counted up to {self._most_candidates} matches; narrow the search.")
        if query.counting:
            return Page((), None, len(everything.matches))
        return replace(await self._page(call, query, after, query.count), total=len(everything.matches))

    async def _disclosed(self, call: Call, stored: Stored) -> Stored | None:
        """In a list, what may not be seen is left out; it is not an error."""
        try:
            return await self.steps.disclose(call, stored)
        except NoLegalBasisError:
            return None

    async def _commit(self, attempt: Attempt, change: Change) -> Stored:
        [stored] = await self.store.commit([change])
        attempt.committed = True
        return stored

    async def described(self, call: Call) -> None:
        """Record that the server described itself: it needs no admission, for it says nothing of the clinic."""
        await self.steps.conclude(call, Result())

    async def refused(self, call: Call, failure: FhirError) -> None:
        """Record a call that failed before it reached an interaction: no token, no JSON, no such type."""
        await self.steps.conclude(call, Result(failure=failure))

    @asynccontextmanager
    async def attempt(self, call: Call) -> AsyncIterator[Attempt]:
        """Whatever happens inside is concluded: recorded, before the answer leaves."""
        attempt = Attempt()
        try:
            yield attempt
        except StaleBasisError:
            raise
        except Exception as error:
            failure = error if isinstance(error, FhirError) else FhirError("An unexpected fault.")
            await self.steps.conclude(call, Result(failure=failure))
            raise
        await self.steps.conclude(call, Result(tuple(attempt.disclosed), attempt.committed))
