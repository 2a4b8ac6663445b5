"""A Bundle of type transaction: all of it or none.

https://hl7.org/fhir/R4/http.html#transaction, #trules
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from fhir_server.engine.answers import Answer, call_of, got, search_of
from fhir_server.engine.attempts import Attempt
from fhir_server.engine.bundle_entries import ORDER, Entry, at_entry, entries
from fhir_server.engine.bundle_plan import Planned, Planning
from fhir_server.engine.bundle_reads import require_answers
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.patch.bodies import edit_of
from fhir_server.engine.references import rewrite
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import (
    ConditionChangedError,
    ConflictError,
    FhirError,
    StaleBasisError,
    StaleVersionError,
)
from fhir_server.kernel.json import Json

_ENTRIES_BETWEEN_BREATHS = 25
_MOST_TRIES = 5

Drawn: TypeAlias = tuple[list[Change], Stored | None]
"""What an entry changes; where it changes nothing, the resource as it is, if there is one."""


class Transactions:
    """`most_entries` bounds what one Bundle may ask for."""

    def __init__(self, engine: Engine, planning: Planning, most_entries: int) -> None:
        self._engine, self._planning, self._most_entries = engine, planning, most_entries

    async def process(self, call: Call, bundle: Json) -> list[Answer]:
        """The answers in the order of the entries; reads see what was written."""
        async with self._engine.attempt(call) as attempt:
            found = entries(bundle, self._most_entries)
            for entry in found:
                self._require_search(entry)
            for _ in range(_MOST_TRIES):
                try:
                    written = await self._written(call, attempt, found, await self._planning.plan(call, found))
                    break
                except (ConditionChangedError, StaleVersionError, StaleBasisError):
                    # Somebody was faster: look everything up again and draw it up anew.
                    call.trace.forget()
            else:
                raise ConflictError("Others kept writing what the transaction touches; try again.")
        await self._record_unwritten(call, found, written)
        return [
            written[entry.index] if entry.method != "GET" else await got(self._engine, call, entry) for entry in found
        ]

    def _require_search(self, entry: Entry) -> None:
        """A search that cannot be understood fails the transaction before anything is written, like a bad write."""
        try:
            if entry.method == "GET" and not entry.id:
                search_of(entry, self._engine.language)
        except FhirError as error:
            raise at_entry(error, entry.index) from None

    async def _written(
        self, call: Call, attempt: Attempt, found: Sequence[Entry], planned: Sequence[Planned]
    ) -> dict[int, Answer]:
        known = await self._planning.known(call, planned)
        drawn = await self._drafted(call, planned, known)
        flat = [(index, change) for index, (drafts, _) in drawn.items() for change in drafts]
        changes = [change for _, change in flat]
        await require_answers(self._engine, call, found, changes)
        stored = await self._engine.store.commit(changes)
        # A transaction without writes is recorded as itself; otherwise each of them is recorded.
        attempt.committed = bool(planned)
        done = {index: version for (index, _), version in zip(flat, stored, strict=True)}
        return {
            one.entry.index: Answer(
                one.entry.method,
                done.get(one.entry.index, drawn[one.entry.index][1]),
                written=one.entry.index in done,
            )
            for one in planned
        }

    async def _record_unwritten(self, call: Call, found: Sequence[Entry], written: Mapping[int, Answer]) -> None:
        """What left nothing in the commit, for the resource was there or was gone already, is recorded by itself."""
        for entry in found:
            answer = written.get(entry.index)
            if answer is not None and not answer.written:
                async with self._engine.attempt(call_of(call, entry)) as attempt:
                    attempt.disclosed.extend([answer.stored] if answer.stored else [])

    async def _drafted(self, call: Call, planned: Sequence[Planned], known: Mapping[str, str]) -> dict[int, Drawn]:
        """By the index of the entry, drawn up in the order in which FHIR lets them take effect."""
        drawn: dict[int, Drawn] = {}
        ordered = sorted(planned, key=lambda one: ORDER.index(one.entry.method))
        for done, one in enumerate(ordered):
            if done % _ENTRIES_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)
            try:
                drafts, unchanged = await self._drafts(call_of(call, one.entry), one, known)
            except FhirError as error:
                raise at_entry(error, one.entry.index) from error
            condition = one.condition
            conditional = [draft.on_condition(condition) if condition else draft for draft in drafts]
            drawn[one.entry.index] = (conditional, unchanged)
        return drawn

    async def _drafts(self, call: Call, one: Planned, known: Mapping[str, str]) -> Drawn:
        drafts, entry = self._engine.drafts, one.entry
        if one.existing:
            await self._engine.steps.admit(call)
            return [], one.existing
        if entry.method == "DELETE":
            found = [await drafts.delete(replace(call, id=key.id), entry.if_match) for key in one.keys]
            return [change for change in found if change], None
        mine = replace(call, id=one.key.id)
        if entry.method == "PATCH":
            current, change = await self._engine.amendment(mine, edit_of(entry.resource or {}), entry.if_match)
            return ([change], None) if change else ([], current)
        resource = rewrite(entry.resource, known)
        if entry.method == "POST":
            return [await drafts.create(replace(call, id=None), resource, one.key.id)], None
        body = resource if "id" in resource or not entry.criteria else {**resource, "id": one.key.id}
        return [await drafts.update(mine, body, entry.if_match, only_new=entry.only_new)], None
