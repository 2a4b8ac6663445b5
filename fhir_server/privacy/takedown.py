"""After a withdrawal or an expiry: a Task for each published rendition that nothing covers any more, with a deadline.

GDPR Art. 7(3), 17(2), 19; M7; rows S84, S85. The bytes here are unreachable at once; this is about those elsewhere.
"""

from datetime import timedelta

from fhir_server.consent.question import Permit
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import Clock, instant
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.publications import PUBLISH, TAKEDOWN, publication, rendition_in
from fhir_server.privacy.receipt import Scribe
from fhir_server.search.parse import parse
from fhir_server.smart.tie_sources import TASK_SYSTEM

DEADLINE = timedelta(hours=72)
_AT_ONCE = "1000"


class Takedowns:
    """Safe to repeat: the id of a takedown follows from what was published, and nobody else can work it out."""

    def __init__(
        self, engine: Engine, store: ResourceStore, standing: Standing, scribe: Scribe, clock: Clock, server: Principal
    ) -> None:
        self._engine, self._store, self._standing = engine, store, standing
        self._scribe, self._clock, self._server = scribe, clock, server

    async def ask_for(self, patient: str, cause: str) -> frozenset[ResourceKey]:
        """The Media that were published and that no consent to a publication covers any more."""
        pairs = [
            ("patient", f"Patient/{patient}"),
            ("code", f"{TASK_SYSTEM}|{PUBLISH}"),
            ("status", "completed"),
            ("_count", _AT_ONCE),
        ]
        looking = Call(Interaction.SEARCH_TYPE, self._server, self._clock.now(), "Task")
        page = await self._engine.found(looking, [parse("Task", pairs, self._engine.language)])
        covered, uncovered = set[ResourceKey | None](), set[ResourceKey]()
        for published in page.matches:
            shown = parse_reference(published.resource["focus"]["reference"])
            if await self._is_covered(published):
                covered.add(shown)
                continue
            await self._file(published, cause)
            uncovered |= {shown} if shown else set()
        return frozenset(uncovered - covered)

    async def _is_covered(self, published: Stored) -> bool:
        media = await rendition_in(self._store, published.resource)
        asked = publication(published.resource, media, self._clock.now()) if media else None
        return asked is not None and isinstance(await self._standing.decide(asked), Permit)

    async def _file(self, published: Stored, cause: str) -> None:
        key = ResourceKey("Task", f"takedown-{self._scribe.name(str(published.key))[:40]}")
        if await self._store.read(key) is not None:
            return
        call = Call(Interaction.UPDATE, self._server, self._clock.now(), *key)
        await self._engine.commit(call, self._engine.drafts.of(key, self._written(key, published, cause)))

    def _written(self, key: ResourceKey, published: Stored, cause: str) -> Json:
        now, task = self._clock.now(), published.resource
        return {
            "resourceType": "Task",
            "id": key.id,
            "basedOn": [{"reference": f"{published.key}/_history/{published.version}"}],
            "status": "requested",
            "intent": "order",
            "priority": "urgent",
            "code": {"coding": [{"system": TASK_SYSTEM, "code": TAKEDOWN}], "text": "Take a publication down"},
            "focus": task["focus"],
            "for": task["for"],
            "authoredOn": instant(now),
            "reasonReference": {"reference": cause},
            "restriction": {"period": {"end": instant(now + DEADLINE)}},
            "input": task["input"],
        }
