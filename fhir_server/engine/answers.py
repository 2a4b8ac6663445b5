"""What became of one entry of a Bundle, and the call that each entry is.

https://hl7.org/fhir/R4/http.html#transaction-response
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from fhir_server.engine.bundle_entries import Entry
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.page import Page
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.search.tree import Query

_INTERACTION: Mapping[str, Interaction] = {
    "POST": Interaction.CREATE,
    "PUT": Interaction.UPDATE,
    "PATCH": Interaction.PATCH,
    "DELETE": Interaction.DELETE,
    "GET": Interaction.READ,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored version, a page of a search, nothing (deleted), or a failure. `written`: was a version made?"""

    method: str
    stored: Stored | None = None
    page: Page | None = None
    failure: FhirError | None = None
    written: bool = False


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
    )


def search_of(entry: Entry, language: Language) -> Query:
    """The search that a GET entry asks for."""
    return parse(entry.type, parse_qsl(entry.query, keep_blank_values=True), language)


async def got(engine: Engine, call: Call, entry: Entry) -> Answer:
    """A read, vread or search. One that fails does not undo what a transaction wrote."""
    asked = call_of(call, entry)
    try:
        if entry.id:
            return Answer("GET", await engine.read(asked))
        asked_for = f"GET {entry.type}?{entry.query}"
        searched = replace(asked, interaction=Interaction.SEARCH_TYPE, request=asked_for)
        return Answer("GET", page=await engine.search(searched, await _understood(engine, searched, entry)))
    except FhirError as failure:
        return Answer("GET", failure=failure)


async def _understood(engine: Engine, call: Call, entry: Entry) -> Query:
    """A search that cannot be never becomes an interaction, so its refusal is recorded here."""
    try:
        return search_of(entry, engine.language)
    except FhirError as failure:
        await engine.refused(call, failure)
        raise
