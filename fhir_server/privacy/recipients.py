"""Who received data of a patient from here, as the log knows it; and the Tasks by which each of them is told.

GDPR Art. 19: each recipient is told of a rectification, an erasure or a restriction; Art. 4(9): whoever treats at this
clinic, and the patient, is none. The log is asked and not the receivers: it has every disclosure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.position import Position
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.rights import ARTICLES
from fhir_server.search.parse import parse
from fhir_server.smart.tie_sources import TASK_SYSTEM

INFORM = "inform-recipient"
CLIENT = "urn:aesthetic-fhir-server:client"
"""The system of the identifier of a client application."""

_READER = Principal("fhir-server", "fhir-server", "", "", scopes=("system/AuditEvent.rs",), name="fhir-server")
_GIVES_AWAY = frozenset(
    {
        *("read", "vread", "search-type", "search-system"),
        *("history-instance", "history-type", "history-system"),
    }
)
_AT_ONCE = "500"
_MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class Recipients:
    """Ids of client applications. `whole`: was all of the log looked at?"""

    clients: tuple[str, ...]
    whole: bool = True


class Disclosures:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def of(self, patient: str, now: datetime) -> Recipients:
        call = Call(Interaction.SEARCH_TYPE, _READER, now, "AuditEvent")
        pairs = [("patient", f"Patient/{patient}"), ("outcome", "0"), ("_count", _AT_ONCE)]
        query = parse("AuditEvent", pairs, self._engine.language)
        found: set[str] = set()
        after: Position | None = None
        for _ in range(_MOST_PAGES):
            try:
                page = await self._engine.searching.answer(call, (query,), after)
            except TooCostlyError:
                break
            found.update(client for one in page.matches if (client := received_by(one.resource)))
            after = page.next
            if after is None:
                return Recipients(tuple(sorted(found)))
        return Recipients(tuple(sorted(found)), whole=False)


def received_by(event: Json) -> str | None:
    """The client to which data went for itself; None where a person of the clinic, or the patient, stood behind it."""
    codes = {one.get("code") for one in event.get("subtype", [])}
    who = [agent.get("who", {}) for agent in event.get("agent", [])]
    if codes.isdisjoint(_GIVES_AWAY) or not who or any("reference" in one for one in who):
        return None
    client = who[0].get("identifier", {}).get("value")
    return None if client == _READER.client_id else client


def notices(request: ResourceKey, right: str, patient: ResourceKey, told: Recipients) -> Sequence[Json]:
    """A Task for each recipient: to tell them, or to write down why that is impossible or out of proportion."""
    return [_notice(request, right, patient, client) for client in told.clients]


def _notice(request: ResourceKey, right: str, patient: ResourceKey, client: str) -> Json:
    says = (
        f"Tell {client}, which received data of this patient from here, that they were dealt with "
        f"under {ARTICLES[right]} ({right}), and that it has to do the same (GDPR Art. 19)."
    )
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK_SYSTEM, "code": INFORM, "display": "Tell a recipient"}]},
        "description": says,
        "basedOn": [{"reference": str(request)}],
        "for": {"reference": str(patient)},
        "owner": {"identifier": {"system": CLIENT, "value": client}, "display": client},
    }
