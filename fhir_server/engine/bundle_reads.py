"""The GET entries of a Bundle: reads, searches, histories, each answered and recorded as if it had come alone.

https://hl7.org/fhir/R4/http.html#transaction: a transaction succeeds where every entry ends in 2xx or 3xx; else nothing
of it is done. Its reads come after its writes and see them, so before anything is committed it is looked at, from both
together and unrecorded, whether they will be answered.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from fhir_server.engine.answers import Answer, Listed, call_of
from fhir_server.engine.bundle_entries import Entry, at_entry
from fhir_server.engine.bundle_urls import READS
from fhir_server.engine.call import Call, Trace
from fhir_server.engine.change import Change
from fhir_server.engine.history import Histories
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.errors import FhirError, GoneError, NotFoundError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.unexpected import unexpected
from fhir_server.search.parse import parse_all
from fhir_server.search.several import Several, compartment, everywhere


class BundleReads:
    def __init__(self, engine: Engine, histories: Histories) -> None:
        self._engine, self._histories = engine, histories

    async def got(self, call: Call, entry: Entry) -> Answer:
        """Never raises: what a transaction wrote stands, and is told, whatever becomes of its reads."""
        asked = call_of(call, entry)
        try:
            match entry.target.listing:
                case "search":
                    return Answer(entry.method, listed=await self._searched(asked, entry))
                case "history":
                    return Answer(entry.method, listed=await self._told(asked, entry))
                case _:
                    stored = await self._engine.read(asked)
                    known = entry.conditions.know(stored)
                    return Answer(entry.method, stored.seen_through(entry.target.view), is_known=known)
        except FhirError as failure:
            return Answer(entry.method, failure=failure)
        except Exception as error:  # noqa: BLE001  a fault of ours is this entry's answer, not the others'
            return Answer(entry.method, failure=unexpected(error))

    def require_understood(self, entries: Sequence[Entry]) -> None:
        """A search that cannot be understood fails a transaction before anything is written, like a bad write."""
        for entry in entries:
            try:
                if entry.target.listing == "search":
                    self._search_of(entry)
            except FhirError as error:
                raise at_entry(error, entry.index) from None

    async def require_answers(self, call: Call, entries: Sequence[Entry], changes: Iterable[Change]) -> None:
        """Raises what the first GET that cannot be answered would end in, with its place."""
        reads = [entry for entry in entries if entry.method in READS]
        written = {change.key: change for change in changes} if reads else {}
        for entry in reads:
            # What is decided here is decided again when the answer is put together; this time leaves no trace.
            asked = replace(call_of(call, entry), trace=Trace())
            try:
                await self._require_answer(asked, entry, written)
            except FhirError as error:
                raise at_entry(error, entry.index) from error

    async def _require_answer(self, call: Call, entry: Entry, written: Mapping[ResourceKey, Change]) -> None:
        match entry.target.listing:
            case "search":
                # Above all: is it allowed, and not too costly?
                found = self._search_of(entry)
                await self._engine.found(call, found.queries, named=found.named)
            case "history":
                await self._require_history(call, entry, written)
            case _:
                await self._require_instance(call, entry, written)

    async def _require_history(self, call: Call, entry: Entry, written: Mapping[ResourceKey, Change]) -> None:
        assert entry.target.history is not None
        try:
            await self._histories.found(call, entry.target.history)
        except NotFoundError:
            if ResourceKey(entry.type, entry.id) not in written:
                raise

    async def _require_instance(self, call: Call, entry: Entry, written: Mapping[ResourceKey, Change]) -> None:
        await self._engine.steps.admit(call)
        change = written.get(ResourceKey(entry.type, entry.id))
        if change is None or entry.target.version not in {None, change.version}:
            await self._engine.look(call)
        elif change.resource is None:
            raise GoneError("The resource is deleted by this transaction.")

    async def _searched(self, call: Call, entry: Entry) -> Listed:
        try:
            asked = self._search_of(entry)
        except FhirError as failure:
            # It never becomes an interaction, which would record it.
            await self._engine.refused(call, failure)
            raise
        page = await self._engine.search(call, asked.queries, named=asked.named)
        [query, *_] = asked.queries
        return Listed("search", page.seen_through(query.view), entry.target.path, query.used)

    async def _told(self, call: Call, entry: Entry) -> Listed:
        target = entry.target
        assert target.history is not None
        page = await self._histories.page(call, target.history)
        return Listed("history", page.seen_through(target.view), target.path, _pairs(entry))

    def _search_of(self, entry: Entry) -> Several:
        target, language, pairs = entry.target, self._engine.language, _pairs(entry)
        if target.member:
            return compartment(target.type, target.id, target.member, pairs, language, lenient=False)
        if target.type:
            return Several(parse_all((target.type,), pairs, language, lenient=False), named=True)
        return everywhere(pairs, language, lenient=False)


def _pairs(entry: Entry) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(entry.target.query, keep_blank_values=True))
