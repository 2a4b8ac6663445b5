"""Conditional create, update, patch and delete: atomic, across processes.

https://hl7.org/fhir/R4/http.html#ccreate, #cond-update, #cdelete; what-users-ask 1: duplicates are the classic fault.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from fhir_server.engine.attempts import Attempt
from fhir_server.engine.call import Beside, Call
from fhir_server.engine.courtesy import OVERTAKEN
from fhir_server.engine.criteria import Matched, matching
from fhir_server.engine.integrity import refuse_log_change, require_type
from fhir_server.engine.interactions import Edit, Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import (
    ConflictError,
    InvalidRequestError,
    MultipleMatchesError,
    NotFoundError,
    VersionConflictError,
)
from fhir_server.kernel.identity import ResourceKey, is_id
from fhir_server.search.tree import Query

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`written` is False where the resource was there already."""

    stored: Stored
    written: bool


class Conditional:
    """`delete_several`: may a conditional delete delete more than one?"""

    def __init__(self, engine: Engine, *, delete_several: bool) -> None:
        self._engine, self._delete_several = engine, delete_several

    async def create(self, call: Call, body: object, query: Query) -> Outcome:
        """The one match, or a new resource; 412 for several matches."""

        async def once(attempt: Attempt, matched: Matched) -> Outcome:
            if existing := matched.only:
                attempt.disclosed.append(existing)
                return Outcome(existing, written=False)
            change = (await self._engine.drafts.create(call, body)).on_condition(matched.condition)
            return Outcome(await self._engine.commit_one(attempt, change), written=True)

        return await self._attempts(call, query, once, at_once=True)

    async def update(self, call: Call, body: object, query: Query, if_match: int | None = None) -> Outcome:
        """The one match gets a new version; without one a resource is created, under the body's id if it has one."""
        resource = require_type(body, str(call.type))

        async def once(attempt: Attempt, matched: Matched) -> Outcome:
            existing = matched.only
            id = resource.get("id")
            if existing and id is not None and id != existing.key.id:
                raise InvalidRequestError("The id of the body is not that of the resource that matches.")
            if existing:
                mine = replace(call, id=existing.key.id)
                draft = await self._engine.drafts.update(mine, {**resource, "id": existing.key.id}, if_match)
            elif if_match is not None:
                raise VersionConflictError("If-Match names a version, but nothing matches the criteria.")
            elif id is None:
                draft = await self._engine.drafts.create(call, resource)
            else:
                draft = await self._engine.drafts.update(await self._unused(call, id), resource)
            change = draft.on_condition(matched.condition)
            return Outcome(await self._engine.commit_one(attempt, change), written=True)

        return await self._attempts(call, query, once)

    async def patch(self, call: Call, query: Query, edit: Edit, if_match: int | None = None) -> Outcome:
        """The one match, patched; 404 without one."""

        async def once(attempt: Attempt, matched: Matched) -> Outcome:
            existing = matched.only
            if existing is None:
                raise NotFoundError("Nothing matches the criteria.")
            _, change = await self._engine.amendment(replace(call, id=existing.key.id), edit, if_match)
            if change is None:
                attempt.disclosed.append(existing)
                return Outcome(existing, written=False)
            stored = await self._engine.commit_one(attempt, change.on_condition(matched.condition))
            return Outcome(stored, written=True)

        return await self._attempts(call, query, once)

    async def delete(self, call: Call, query: Query) -> tuple[Stored, ...]:
        """What was deleted. Several matches are 412 unless the setting allows it; then all go in one commit."""

        async def once(attempt: Attempt, matched: Matched) -> tuple[Stored, ...]:
            if len(matched.found) > 1 and not self._delete_several:
                raise MultipleMatchesError("The criteria match more than one resource.")
            beside = Beside(removed=frozenset(found.key for found in matched.found))
            drafts = [
                draft.on_condition(matched.condition)
                for found in matched.found
                if (draft := await self._engine.drafts.delete(replace(call, id=found.key.id, beside=beside)))
            ]
            stored = await self._engine.store.commit(drafts)
            attempt.committed = bool(drafts)
            return stored

        return await self._attempts(call, query, once)

    async def _attempts(
        self, call: Call, query: Query, once: Callable[[Attempt, Matched], Awaitable[T]], *, at_once: bool = False
    ) -> T:
        """Search, decide, commit on condition; and again from the search where somebody was faster.

        With `at_once` it does not queue behind those who ask alike: what they look for is mostly there already.
        """
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            refuse_log_change(call.type, allow=("GET", "HEAD", "POST"))

            async def afresh() -> T:
                call.trace.forget()
                return await once(attempt, await matching(self._engine, call, query))

            try:
                return await self._engine.courtesy.insist([_name(query)], afresh, at_once=at_once)
            except OVERTAKEN:
                raise ConflictError("Others kept writing what the criteria match; try again.") from None

    async def _unused(self, call: Call, id: object) -> Call:
        if not isinstance(id, str) or not is_id(id):
            raise InvalidRequestError("The id of the body is not a FHIR id.")
        if await self._engine.store.read(ResourceKey(str(call.type), id)) is not None:
            raise ConflictError("Nothing matches the criteria, but there is a resource with the body's id.")
        return replace(call, id=id)


def _name(query: Query) -> str:
    """Those who ask alike have the same; it stays in memory."""
    return f"{query.type}?{query.filters!r}"
