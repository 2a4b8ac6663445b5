"""A Bundle of type transaction: all of it or none.

https://hl7.org/fhir/R4/http.html#transaction, #trules
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from fhir_server.engine.answers import Answer, call_of
from fhir_server.engine.attempts import Attempt
from fhir_server.engine.bundle_entries import ORDER, Entry, at_entry, entries
from fhir_server.engine.bundle_plan import Planned, Planning
from fhir_server.engine.bundle_reads import BundleReads
from fhir_server.engine.bundle_urls import READS
from fhir_server.engine.call import Beside, Call
from fhir_server.engine.change import Change, spread
from fhir_server.engine.courtesy import OVERTAKEN
from fhir_server.engine.interactions import Engine
from fhir_server.engine.patch.bodies import edit_of
from fhir_server.engine.references import rewrite
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ConflictError, FhirError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

_ENTRIES_BETWEEN_BREATHS = 25
_BRINGING = frozenset({"POST", "PUT"})

Drawn: TypeAlias = tuple[list[Change], Stored | None]
"""What an entry changes; where it changes nothing, the resource as it is, if there is one."""


class Transactions:
    """`most_entries` bounds what one Bundle may ask for."""

    def __init__(self, engine: Engine, reads: BundleReads, planning: Planning, most_entries: int) -> None:
        self._engine, self._reads, self._planning, self._most_entries = engine, reads, planning, most_entries

    async def process(self, call: Call, bundle: Json) -> list[Answer]:
        """The answers in the order of the entries; reads see what was written."""
        async with self._engine.attempt(call) as attempt:
            found = entries(bundle, self._most_entries)
            self._reads.require_understood(found)
            written = await self._insisted(call, attempt, found)
        await self._record_unwritten(call, found, written)
        return [
            written[entry.index] if entry.index in written else await self._reads.got(call, entry) for entry in found
        ]

    async def _insisted(self, call: Call, attempt: Attempt, found: Sequence[Entry]) -> dict[int, Answer]:
        """Where somebody was faster, everything is looked up again and drawn up anew."""

        async def afresh() -> dict[int, Answer]:
            call.trace.forget()
            return await self._written(call, attempt, found, await self._planning.plan(call, found))

        contested = {f"{entry.key or entry.type}?{entry.criteria}" for entry in _contested(found)}
        try:
            return await self._engine.courtesy.insist(contested, afresh, at_once=not any(map(_rewrites, found)))
        except OVERTAKEN:
            raise ConflictError("Others kept writing what the transaction touches; try again.") from None

    async def _written(
        self, call: Call, attempt: Attempt, found: Sequence[Entry], planned: Sequence[Planned]
    ) -> dict[int, Answer]:
        drawn = await self._drafted(call, planned, await self._rewritten(call, planned))
        flat = [(index, change) for index, (drafts, _) in drawn.items() for change in drafts]
        changes = [change for _, change in flat]
        await self._reads.require_answers(call, found, changes)
        stored = await self._engine.store.commit(spread(changes))
        # A transaction without writes is recorded as itself; otherwise each of them is recorded.
        attempt.committed = bool(planned)
        done = {index: version for (index, _), version in zip(flat, stored, strict=False)}
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

    async def _rewritten(self, call: Call, planned: Sequence[Planned]) -> dict[int, Json]:
        """By the index of the entry, the resource that it brings, with the references that it means."""
        links = await self._planning.links(call, planned)
        found: dict[int, Json] = {}
        for done, one in enumerate(planned):
            if done % _ENTRIES_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)
            if one.entry.method in _BRINGING and not one.existing:
                found[one.entry.index] = rewrite(one.entry.resource, links.within(one.entry))
        return found

    async def _drafted(self, call: Call, planned: Sequence[Planned], brought: Mapping[int, Json]) -> dict[int, Drawn]:
        """By the index of the entry, drawn up in the order in which FHIR lets them take effect."""
        drawn: dict[int, Drawn] = {}
        ordered = sorted(planned, key=lambda one: ORDER.index(one.entry.method))
        beside = Beside(
            made=frozenset(one.key for one in planned if one.entry.index in brought),
            removed=frozenset(key for one in planned if one.entry.method == "DELETE" for key in one.keys),
            resources=tuple(brought.values()),
        )
        ahead = await self._ahead(planned)
        named = (one.key for one in planned if one.entry.if_match is not None)
        # Whether the caller may know of the version that it names is asked of each, and looked up for all at once.
        await self._engine.steps.foresee(call, [ahead[key] for key in named if key in ahead])
        for done, one in enumerate(ordered):
            if done % _ENTRIES_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)
            mine = call_of(call, one.entry, beside)
            try:
                drafts, unchanged = await self._drafts(mine, one, brought.get(one.entry.index, {}), ahead)
            except FhirError as error:
                raise at_entry(error, one.entry.index) from error
            condition = one.condition
            conditional = [draft.on_condition(condition) if condition else draft for draft in drafts]
            drawn[one.entry.index] = (conditional, unchanged)
        return drawn

    async def _ahead(self, planned: Sequence[Planned]) -> Mapping[ResourceKey, Stored]:
        """What is there of all that is put, in one look; the commit holds each to the version that was seen."""
        put = [one.key for one in planned if one.entry.method == "PUT" and not one.existing]
        return await self._engine.store.read_many(put) if put else {}

    async def _drafts(self, call: Call, one: Planned, resource: Json, ahead: Mapping[ResourceKey, Stored]) -> Drawn:
        drafts, entry = self._engine.drafts, one.entry
        if one.existing:
            await self._engine.steps.admit(call)
            return [], one.existing
        if entry.method == "DELETE":
            found = [await drafts.delete(replace(call, id=key.id), entry.if_match) for key in one.keys]
            return [change for change in found if change], None
        if entry.method == "POST":
            return [await drafts.create(call, resource, one.key.id)], None
        mine = replace(call, id=one.key.id)
        if entry.method == "PATCH":
            current, change = await self._engine.amendment(mine, edit_of(entry.resource or {}), entry.if_match)
            return ([change], None) if change else ([], current)
        body = resource if "id" in resource or not entry.criteria else {**resource, "id": one.key.id}
        return [await drafts.update(mine, body, entry.if_match, only_new=entry.only_new, ahead=ahead)], None


def _contested(found: Sequence[Entry]) -> list[Entry]:
    """What others may be writing at the same time: resources that are named, and criteria."""
    return [entry for entry in found if entry.method not in READS and (entry.id or entry.criteria)]


def _rewrites(entry: Entry) -> bool:
    """By criteria: those who ask alike all write, one after the other. A create mostly finds what is there already."""
    return bool(entry.criteria) and entry.method not in {"POST", *READS}
