"""What became of one entry of a Bundle, and the call that each entry is.

https://hl7.org/fhir/R4/http.html#transaction-response
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from fhir_server.engine.bundle_entries import Entry
from fhir_server.engine.call import Call, Interaction, Trace
from fhir_server.engine.interactions import Engine
from fhir_server.engine.page import Page
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.unexpected import unexpected
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.search.tree import Query

_INTERACTION: Mapping[str, Interaction] = {
    "POST": Interaction.CREATE,
    "PUT": Interaction.UPDATE,
    "PATCH": Interaction.PATCH,
    "DELETE": Interaction.DELETE,
    "GET": Interaction.READ,
    "HEAD": Interaction.READ,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored version, a page of a search and that search, nothing (deleted), or a failure.

    `written`: was a version made? `is_known`: the client has the version that it asked for.
    """

    method: str
    stored: Stored | None = None
    page: Page | None = None
    query: Query | None = None
    failure: FhirError | None = None
    written: bool = False
    is_known: bool = False


def call_of(call: Call, entry: Entry) -> Call:
    """Each entry is admitted, decided and recorded as the call that it is."""
    return Call(
        _INTERACTION[entry.method] if entry.version is None else Interaction.VREAD,
        call.principal,
        call.instant,
        entry.type,
        entry.id or None,
        entry.version,
        purpose=call.purpose,
        request_id=call.request_id,
        client_address=call.client_address,
        trace=Trace(ties=call.trace.ties, glass=call.trace.glass),
    )


def search_of(entry: Entry, language: Language) -> Query:
    """The search that a GET entry asks for."""
    return parse(entry.type, parse_qsl(entry.query, keep_blank_values=True), language)


async def got(engine: Engine, call: Call, entry: Entry) -> Answer:
    """A read, vread or search, recorded as such."""
    asked = searching(call, entry) if not entry.id else call_of(call, entry)
    try:
        if entry.id:
            stored = await engine.read(asked)
            return Answer(entry.method, stored.seen_through(entry.view), is_known=entry.conditions.know(stored))
        query = await _understood(engine, asked, entry)
        page = await engine.search(asked, query)
        return Answer(entry.method, page=page.seen_through(query.view), query=query)
    except FhirError as failure:
        return Answer(entry.method, failure=failure)
    except Exception as error:  # noqa: BLE001  what a transaction wrote stands, and is told, whatever becomes of its reads
        return Answer(entry.method, failure=unexpected(error))


def searching(call: Call, entry: Entry) -> Call:
    """The call of an entry that is a search."""
    asked_for = f"{entry.method} {entry.type}?{entry.query}"
    return replace(call_of(call, entry), interaction=Interaction.SEARCH_TYPE, request=asked_for)


async def _understood(engine: Engine, call: Call, entry: Entry) -> Query:
    """A search that cannot be never becomes an interaction, so its refusal is recorded here."""
    try:
        return search_of(entry, engine.language)
    except FhirError as failure:
        await engine.refused(call, failure)
        raise
