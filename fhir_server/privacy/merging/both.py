"""The two patients of a merge or of its undoing: what is looked at of them, and what is written of them.

GDPR Art. 18(2); architecture section 4: a head row knows which consents are in force.
"""

from dataclasses import replace

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.change import Change, Condition, Unmoved
from fhir_server.engine.interactions import Engine
from fhir_server.engine.ports import Head, Heads
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.merging.moving import as_seen
from fhir_server.privacy.merging.record import Pair
from fhir_server.privacy.requests import HOLDS
from fhir_server.search.parse import parse
from fhir_server.smart.authorship import SERVER

_MOST_HOLDS = 200


class Both:
    """`server` writes down what was done."""

    def __init__(self, engine: Engine, heads: Heads, server: Principal) -> None:
        self._engine, self._heads, self._server = engine, heads, server

    async def seen(self, call: Call, pair: Pair) -> tuple[Stored, Stored]:
        """As the caller sees them: who does not see both merges neither."""
        source, target = [await self._engine.look(replace(call, id=key.id)) for key in pair.keys]
        return source, target

    async def consents(self, head: Head) -> list[Stored]:
        """What the head row lists, all of it, in the versions that it lists: else nothing is decided."""
        found = await self._engine.store.read_many(list(head.consents)) if head.consents else {}
        if any(key not in found or found[key].version != version for key, version in head.consents.items()):
            raise UnavailableError("The consents of a patient are not what they are listed as.")
        return [found[key] for key in sorted(head.consents)]

    async def heads(self, pair: Pair) -> tuple[Head, Head]:
        found = await self._heads.heads((pair.source, pair.target))
        return found[pair.source], found[pair.target]

    async def holds(self, key: ResourceKey) -> tuple[list[Stored], Condition]:
        """What may forbid it; and that there is no more of it at the instant of the commit."""
        query = parse("Task", (("patient", str(key)), ("code", HOLDS)), self._engine.language)
        found = (await self._engine.store.find(query, None, _MOST_HOLDS)).matches
        return list(found), Condition(query, frozenset(one.key for one in found))

    async def patient(self, call: Call, stored: Stored, resource: Json, held: Condition, head: Head) -> Change:
        """The caller's own write, which fails where a hold or a consent comes in between."""
        change = self._engine.drafts.of(stored.key, resource, as_seen(stored))
        change = change.on_condition(held).only_if(Unmoved(head.patient, head.epoch))
        return await self._engine.drafts.prepared(replace(call, id=stored.key.id), change)

    async def record(self, call: Call, key: ResourceKey, resource: Json) -> Change:
        asking = replace(call, interaction=Interaction.CREATE, principal=self._server, operation=None)
        change = await self._engine.drafts.create(replace(asking, type=key.type, id=None), resource, key.id)
        return change.written_by(SERVER)
