"""What forbids to destroy a patient's record, whatever was withdrawn: a rule of retention not over yet, a hold.

GDPR Art. 17(3)(b) and (e), 18; architecture section 9: the clinical original is restricted until retention ends. A
pack without a rule requires nothing.
"""

from datetime import datetime

from fhir_server.crypto.keys import KeyClass
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import ResourceStore
from fhir_server.kernel.identity import ResourceKey
from fhir_server.privacy.entries import birth, entries
from fhir_server.privacy.erasable import NO_RULE, Keep, verdicts
from fhir_server.privacy.ports import Holdings
from fhir_server.privacy.requests import HOLDS, is_open
from fhir_server.privacy.retention import Pack
from fhir_server.search.parse import parse

_MOST_HOLDS = 200


class KeptByLaw:
    def __init__(self, engine: Engine, store: ResourceStore, holdings: Holdings, pack: Pack) -> None:
        self._engine, self._store, self._holdings, self._pack = engine, store, holdings, pack

    async def why(self, patient: str, now: datetime) -> str | None:
        """The rule, with the first day on which it could go, or the hold; None where nothing forbids it."""
        key = ResourceKey("Patient", patient)
        query = parse("Task", (("patient", str(key)), ("code", HOLDS)), self._engine.language)
        found = (await self._store.find(query, None, _MOST_HOLDS)).matches
        holds = [str(stored.key) for stored in found if is_open(stored.resource)]
        entry = await self._store.read(key)
        born = birth(entry.resource) if entry and not entry.deleted else None
        held = entries(await self._holdings.of(patient), now)
        for verdict in verdicts(held, self._pack, holds, now.date(), born):
            if verdict.record is KeyClass.RECORD and isinstance(verdict, Keep) and verdict.because != NO_RULE:
                return f"{verdict.because} until {verdict.until}" if verdict.until else verdict.because
        return None
