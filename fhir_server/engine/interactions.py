"""The FHIR interactions, once, for every resource type.

https://hl7.org/fhir/R4/http.html
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from fhir_server.engine.attempts import Attempt, attempted, concluded, disclosing, writing
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change, spread
from fhir_server.engine.courtesy import Courtesy
from fhir_server.engine.drafts import Drafts, require_version
from fhir_server.engine.integrity import refuse_log_change
from fhir_server.engine.limits import Limits
from fhir_server.engine.page import Page
from fhir_server.engine.pipeline import Result, Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.position import Position
from fhir_server.engine.searching import Searching
from fhir_server.engine.stored import Stored
from fhir_server.fhir.subset import unmarked
from fhir_server.kernel.errors import FhirError, GoneError, NotFoundError
from fhir_server.kernel.json import Json
from fhir_server.search.language import Language
from fhir_server.search.tree import Query

Edit = Callable[[Json], Json | None]
"""What a resource becomes; None where there is nothing to change."""


class Engine:
    """`language`: what a search is understood to mean here."""

    def __init__(
        self,
        store: ResourceStore,
        steps: Step,
        drafts: Drafts,
        language: Callable[[], Language] = Language,
        limits: Limits | None = None,
        courtesy: Courtesy | None = None,
    ) -> None:
        self.steps, self.store, self.drafts, self._language = steps, store, drafts, language
        self.searching = Searching(store, steps, language().base, limits or Limits())
        self.courtesy = courtesy or Courtesy()

    @property
    def language(self) -> Language:
        """What a search is understood to mean here, and now."""
        return self._language()

    async def create(self, call: Call, resource: object) -> Stored:
        """A new resource under a fresh id."""

        async def once(attempt: Attempt) -> Stored:
            return await self.commit_one(attempt, await self.drafts.create(call, resource))

        return await writing(self.steps, self.courtesy, call, once)

    async def update(
        self, call: Call, resource: object, if_match: int | None = None, *, only_new: bool = False
    ) -> Stored:
        """A new version of one resource, or the first under the client's own id; with `only_new` nothing but that."""

        async def once(attempt: Attempt) -> Stored:
            return await self.commit_one(attempt, await self.drafts.update(call, resource, if_match, only_new=only_new))

        return await writing(self.steps, self.courtesy, call, once, again=if_match is None)

    async def amend(self, call: Call, edit: Edit, if_match: int | None = None) -> Stored:
        """Read, edit, write: what PATCH and the operations share."""

        async def once(attempt: Attempt) -> Stored:
            current, change = await self.amendment(call, edit, if_match)
            if change is None:
                attempt.disclosed.append(current)
                return current
            return await self.commit_one(attempt, change)

        return await writing(self.steps, self.courtesy, call, once, again=if_match is None)

    async def delete(self, call: Call, if_match: int | None = None) -> Stored | None:
        """Mark as deleted. None where there is nothing to delete, which is no error."""

        async def once(attempt: Attempt) -> Stored | None:
            change = await self.drafts.delete(call, if_match)
            return await self.commit_one(attempt, change) if change else None

        return await writing(self.steps, self.courtesy, call, once, again=if_match is None)

    async def commit(self, call: Call, change: Change) -> Stored:
        """A change that a duty of the server drew up itself: it passes the steps like any other."""
        async with self.attempt(call) as attempt:
            return await self.commit_one(attempt, await self.drafts.prepared(call, change))

    async def read(self, call: Call) -> Stored:
        """The current version, or with `call.version` that one."""

        async def once(attempt: Attempt) -> Stored:
            await self.steps.admit(call)
            seen = await self.look(call)
            attempt.disclosed.append(seen)
            return seen

        return await disclosing(self.steps, call, once)

    async def search(
        self, call: Call, query: Query | Sequence[Query], after: Position | None = None, *, named: bool = True
    ) -> Page:
        """One page of what matches and the caller may see, of one type or of several."""
        queries = (query,) if isinstance(query, Query) else query

        async def once(attempt: Attempt) -> Page:
            page = await self.searching.answer(call, queries, after, named=named)
            attempt.disclosed.extend((*page.matches, *page.included))
            return page

        return await disclosing(self.steps, call, once)

    async def found(self, call: Call, queries: Sequence[Query], *, named: bool = True) -> Page:
        """The first page, not recorded: for whoever calls it to record, or to forget."""
        return await self.searching.answer(call, queries, None, named=named)

    async def amendment(self, call: Call, edit: Edit, if_match: int | None = None) -> tuple[Stored, Change | None]:
        """The current version, and the change that an edit makes of it."""
        await self.steps.admit(call)
        refuse_log_change(call.type)
        current = await self.look(call)
        require_version(if_match, current.version)
        # Who sees a part edits that part: what they do not see is put back before it is written.
        seen = (await current.whole()).resource
        edited = edit(unmarked(seen) if current.masked_from else seen)
        if edited is None:
            return current, None
        change = self.drafts.of(current.key, edited, current.masked_from or current, "PATCH")
        return current, await self.drafts.prepared(call, change)

    async def look(self, call: Call) -> Stored:
        """What the caller may see of one resource: 404 for unknown or hidden, 410 for deleted and not hidden."""
        key = call.key
        if key is None:
            raise NotFoundError("There is no resource with this id.")
        stored = await self.store.read(key)
        if stored is not None and call.version not in {None, stored.version}:
            # Who may not see it as it is does not see it as it was: it may have been somebody else's by mistake.
            known = stored.deleted or await self.steps.disclose(call, stored) is not None
            stored = await self.store.read_version(key, int(call.version or 0)) if known else None
        seen = await self.steps.disclose(call, stored) if stored else None
        if seen is None:
            raise NotFoundError("There is no resource with this id.")
        if seen.deleted:
            raise GoneError("The resource was deleted.")
        return seen

    async def commit_one(self, attempt: Attempt, change: Change) -> Stored:
        """Commit inside an attempt, which then knows that the write recorded itself."""
        stored, *_ = await self.store.commit(spread([change]))
        attempt.committed = True
        return stored

    async def described(self, call: Call) -> None:
        """Record what succeeded without touching a resource: the server described itself, a Bundle was empty."""
        await concluded(self.steps, call, Result())

    async def refused(self, call: Call, failure: FhirError) -> None:
        """Record a call that failed before it reached an interaction: no token, no JSON, no such type."""
        await concluded(self.steps, call, Result(failure=failure))

    def attempt(self, call: Call) -> AbstractAsyncContextManager[Attempt]:
        return attempted(self.steps, call)
