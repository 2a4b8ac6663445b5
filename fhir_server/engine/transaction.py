"""A Bundle of type transaction: all of it or none. A Bundle of type batch: each entry by itself.

https://hl7.org/fhir/R4/http.html#transaction
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from fhir_server.engine.bundle_entries import ORDER, Entry, at_entry, entries, refuse_repeats
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine, Page
from fhir_server.engine.references import rewrite
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError, InvalidRequestError, UnprocessableError
from fhir_server.kernel.identity import NewId
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse

_ENTRIES_BETWEEN_BREATHS = 25
_AT_A_TIME = 16

_INTERACTION = {
    "POST": Interaction.CREATE,
    "PUT": Interaction.UPDATE,
    "DELETE": Interaction.DELETE,
    "GET": Interaction.READ,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one entry: a stored version, a page of a search, nothing (deleted), or a failure."""

    method: str
    stored: Stored | None = None
    page: Page | None = None
    failure: FhirError | None = None


class Bundles:
    """`most_entries` bounds what one Bundle may ask for."""

    def __init__(self, engine: Engine, new_id: NewId, most_entries: int) -> None:
        self._engine, self._new_id, self._most_entries = engine, new_id, most_entries

    async def process(self, call: Call, bundle: Json) -> list[Answer]:
        """The answers in the order of the entries."""
        if bundle.get("resourceType") != "Bundle":
            raise InvalidRequestError("The base takes a Bundle of type batch or transaction.")
        kind = bundle.get("type")
        if kind == "transaction":
            return await self._transaction(call, bundle)
        if kind == "batch":
            return await self._batch(call, bundle)
        raise UnprocessableError("The base takes a Bundle of type batch or transaction.", expression="Bundle.type")

    async def _transaction(self, call: Call, bundle: Json) -> list[Answer]:
        async with self._engine.attempt(call) as attempt:
            found = entries(bundle, self._new_id, self._most_entries)
            refuse_repeats(found)
            known = {entry.full_url: str(entry.key) for entry in found if entry.full_url and entry.method == "POST"}
            changes = await self._drafted(call, found, known)
            committed = await self._engine.store.commit([change for change in changes.values() if change])
            attempt.committed = True
        stored = dict(zip((index for index, change in changes.items() if change), committed, strict=True))
        return [
            Answer(entry.method, stored.get(entry.index)) if entry.method != "GET" else await self._get(call, entry)
            for entry in found
        ]

    async def _drafted(self, call: Call, found: list[Entry], known: Mapping[str, str]) -> dict[int, Change | None]:
        """Entry index -> its change, drawn up in the order in which FHIR lets them take effect."""
        changes: dict[int, Change | None] = {}
        writes = sorted((entry for entry in found if entry.method != "GET"), key=lambda one: ORDER.index(one.method))
        for done, entry in enumerate(writes):
            if done % _ENTRIES_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)
            try:
                changes[entry.index] = await self._draft(_call(call, entry), entry, known)
            except FhirError as error:
                raise at_entry(error, entry.index) from error
        return changes

    async def _draft(self, call: Call, entry: Entry, known: Mapping[str, str]) -> Change | None:
        drafts = self._engine.drafts
        if entry.method == "DELETE":
            return await drafts.delete(call, entry.if_match)
        resource = rewrite(entry.resource, known)
        if entry.method == "POST":
            return await drafts.create(replace(call, id=None), resource, entry.key.id)
        return await drafts.update(call, resource, entry.if_match)

    async def _batch(self, call: Call, bundle: Json) -> list[Answer]:
        found = entries(bundle, self._new_id, self._most_entries)
        room = asyncio.Semaphore(_AT_A_TIME)
        return await asyncio.gather(*(self._alone(call, entry, room) for entry in found))

    async def _alone(self, call: Call, entry: Entry, room: asyncio.Semaphore) -> Answer:
        async with room:
            try:
                return await self._do[entry.method](self, _call(call, entry), entry)
            except FhirError as failure:
                return Answer(entry.method, failure=failure)

    async def _post(self, call: Call, entry: Entry) -> Answer:
        return Answer("POST", await self._engine.create(replace(call, id=None), entry.resource))

    async def _put(self, call: Call, entry: Entry) -> Answer:
        return Answer("PUT", await self._engine.update(call, entry.resource, entry.if_match))

    async def _delete(self, call: Call, entry: Entry) -> Answer:
        return Answer("DELETE", await self._engine.delete(call, entry.if_match))

    async def _get(self, call: Call, entry: Entry) -> Answer:
        """After the commit of a transaction: a read that fails does not undo what was written."""
        asked = _call(call, entry)
        try:
            if entry.key.id:
                return Answer("GET", await self._engine.read(asked))
            query = parse(entry.key.type, parse_qsl(entry.query, keep_blank_values=True))
            asked_for = f"GET {entry.key.type}?{entry.query}"
            searched = replace(asked, interaction=Interaction.SEARCH_TYPE, id=None, request=asked_for)
            return Answer("GET", page=await self._engine.search(searched, query))
        except FhirError as failure:
            return Answer("GET", failure=failure)

    _do: Mapping[str, Callable[["Bundles", Call, Entry], Awaitable[Answer]]] = {
        "POST": _post,
        "PUT": _put,
        "DELETE": _delete,
        "GET": _get,
    }


def _call(call: Call, entry: Entry) -> Call:
    """Each entry is admitted, decided and recorded as the call that it is."""
    return Call(
        _INTERACTION[entry.method],
        call.principal,
        call.instant,
        entry.key.type,
        entry.key.id or None,
        purpose=call.purpose,
        request_id=call.request_id,
        client_address=call.client_address,
    )
