"""What became of one entry of a Bundle, and the call that each entry is.

https://hl7.org/fhir/R4/http.html#transaction-response
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.engine.bundle_entries import Entry
from fhir_server.engine.bundle_urls import Listing
from fhir_server.engine.call import Beside, Call, Interaction, Trace
from fhir_server.engine.page import Page
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError
from fhir_server.search.several import ANY

_INTERACTION: Mapping[str, Interaction] = {
    "POST": Interaction.CREATE,
    "PUT": Interaction.UPDATE,
    "PATCH": Interaction.PATCH,
    "DELETE": Interaction.DELETE,
    "GET": Interaction.READ,
    "HEAD": Interaction.READ,
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a search or a history. `path` and `used` are what it was asked for with."""

    kind: Listing
    page: Page
    path: str
    used: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored version, a page, nothing (deleted), or a failure.

    `written`: was a version made? `is_known`: the client has the version that it asked for.
    """

    method: str
    stored: Stored | None = None
    listed: Listed | None = None
    failure: FhirError | None = None
    written: bool = False
    is_known: bool = False


def call_of(call: Call, entry: Entry, beside: Beside | None = None) -> Call:
    """Each entry is admitted, decided and recorded as the call that it is. A POST names no id.

    What was looked up of patients is shared by the writes of a transaction, which are drawn up at one instant.
    """
    target = entry.target
    stands = {} if beside is None else call.trace.stands
    searches = target.listing == "search"
    type = (target.member or target.type).replace(ANY, "") if searches else target.type
    return Call(
        _interaction(entry, type),
        call.principal,
        call.instant,
        type or None,
        None if searches else target.id or None,
        target.version,
        purpose=call.purpose,
        request_id=call.request_id,
        client_address=call.client_address,
        request=f"{entry.method} {target.path}?{target.query}" if searches else "",
        trace=Trace(stands=stands, ties=call.trace.ties, broken=call.trace.broken, glass=call.trace.glass),
        beside=beside,
    )


def _interaction(entry: Entry, type: str) -> Interaction:
    match entry.target.listing:
        case "search":
            return Interaction.SEARCH_TYPE if type else Interaction.SEARCH_SYSTEM
        case "history" if entry.id:
            return Interaction.HISTORY_INSTANCE
        case "history":
            return Interaction.HISTORY_TYPE if type else Interaction.HISTORY_SYSTEM
        case _:
            return _INTERACTION[entry.method] if entry.target.version is None else Interaction.VREAD
