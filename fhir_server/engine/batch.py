"""A Bundle of type batch: each entry by itself, as if it had come alone.

https://hl7.org/fhir/R4/http.html#brules
"""

import asyncio
from urllib.parse import parse_qsl

from fhir_server.engine.answers import Answer, call_of
from fhir_server.engine.bundle_entries import Entry, listed
from fhir_server.engine.bundle_reads import BundleReads
from fhir_server.engine.call import Call
from fhir_server.engine.conditional import Conditional, Outcome
from fhir_server.engine.integrity import LOG
from fhir_server.engine.interactions import Edit, Engine
from fhir_server.engine.patch.bodies import edit_of
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.json import Json
from fhir_server.kernel.unexpected import unexpected
from fhir_server.search.parse import parse
from fhir_server.search.tree import Query

_AT_A_TIME = 16


class Batches:
    """`most_entries` bounds what one Bundle may ask for."""

    def __init__(self, engine: Engine, reads: BundleReads, conditional: Conditional, most_entries: int) -> None:
        self._engine, self._reads = engine, reads
        self._conditional, self._most_entries = conditional, most_entries

    async def process(self, call: Call, bundle: Json) -> list[Answer]:
        """The answers in the order of the entries; several at a time, so that they share commits."""
        room = asyncio.Semaphore(_AT_A_TIME)
        try:
            found = listed(bundle, self._most_entries)
        except FhirError as failure:
            await self._engine.refused(call, failure)
            raise
        if not found:
            await self._engine.described(call)
        return await asyncio.gather(*(self._alone(call, entry, room) for entry in found))

    async def _alone(self, call: Call, entry: Entry | FhirError, room: asyncio.Semaphore) -> Answer:
        if isinstance(entry, FhirError):
            await self._engine.refused(call, entry)
            return Answer("", failure=entry)
        mine = call_of(call, entry)
        try:
            query = self._query(entry) if entry.criteria else None
            # Nobody patches the log, whatever the body says: who may try is told that, others that they may not.
            patches = entry.method == "PATCH" and entry.type != LOG
            edit = edit_of(entry.resource or {}) if patches else _unchanged
        except FhirError as failure:
            # It never becomes an interaction, which would record it.
            await self._engine.refused(mine, failure)
            return Answer(entry.method, failure=failure)
        async with room:
            try:
                return await self._done(mine, entry, query, edit)
            except FhirError as failure:
                return Answer(entry.method, failure=failure)
            except Exception as error:  # noqa: BLE001  a fault of ours is this entry's answer, not the others'
                return Answer(entry.method, failure=unexpected(error))

    async def _done(self, call: Call, entry: Entry, query: Query | None, edit: Edit) -> Answer:
        match entry.method:
            case "POST":
                return await self._post(call, entry, query)
            case "PUT":
                return await self._put(call, entry, query)
            case "PATCH":
                return await self._patch(call, entry, query, edit)
            case "DELETE":
                return await self._delete(call, entry, query)
            case _:
                return await self._reads.got(call, entry)

    async def _post(self, call: Call, entry: Entry, query: Query | None) -> Answer:
        if query:
            return _told("POST", await self._conditional.create(call, entry.resource, query))
        return Answer("POST", await self._engine.create(call, entry.resource), written=True)

    async def _put(self, call: Call, entry: Entry, query: Query | None) -> Answer:
        if query:
            outcome = await self._conditional.update(call, entry.resource, query, entry.if_match)
            return _told("PUT", outcome)
        return Answer("PUT", await self._updated(call, entry), written=True)

    async def _updated(self, call: Call, entry: Entry) -> Stored:
        return await self._engine.update(call, entry.resource, entry.if_match, only_new=entry.only_new)

    async def _patch(self, call: Call, entry: Entry, query: Query | None, edit: Edit) -> Answer:
        if query:
            return _told("PATCH", await self._conditional.patch(call, query, edit, entry.if_match))
        stored = await self._engine.amend(call, edit, entry.if_match)
        # A patch never makes the first version: where that comes back, there was nothing to change.
        return Answer("PATCH", stored, written=stored.version > 1)

    async def _delete(self, call: Call, entry: Entry, query: Query | None) -> Answer:
        if query:
            await self._conditional.delete(call, query)
            return Answer("DELETE")
        return Answer("DELETE", await self._engine.delete(call, entry.if_match))

    def _query(self, entry: Entry) -> Query:
        written = entry.criteria.partition("?")[2] or entry.criteria
        return parse(entry.type, parse_qsl(written, keep_blank_values=True), self._engine.language)


def _unchanged(resource: Json) -> Json | None:
    return None


def _told(method: str, outcome: Outcome) -> Answer:
    return Answer(method, outcome.stored, written=outcome.written)
