"""A restriction ends: the refusals that a request brought about are taken back, after the person was told.

GDPR Art. 18(3): the person is informed before the restriction is lifted. What was put off meanwhile, such as deciding
again on photos, goes on with that commit.
"""

from dataclasses import replace
from datetime import UTC, date, tzinfo

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ConflictError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.privacy import rights
from fhir_server.privacy.handling import Handled
from fhir_server.privacy.remedies import request_behind
from fhir_server.privacy.rights import OBJECT, RESTRICT, request_of
from fhir_server.search.parse import parse

_MOST = "200"


class Lifting:
    """`server` takes back what it drew up itself. `zone`: where a day begins."""

    def __init__(self, engine: Engine, server: Principal, zone: tzinfo = UTC) -> None:
        self._engine, self._server, self._zone = engine, server, zone

    async def lift(self, call: Call, because: str, informed: date, *, dry_run: bool) -> Handled:
        """Raises ConflictError where nothing of the request is in force."""
        if informed > call.instant.astimezone(self._zone).date():
            raise UnprocessableError("The person is told before the restriction is lifted.", expression="informed")
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            stored = await self._engine.look(call)
            request = request_of(stored.resource)
            if request is None or request.right not in {RESTRICT, OBJECT}:
                raise UnprocessableError("The Task is no restriction and no objection.", expression="Task.code")
            consents = await self._in_force(call, stored.key, request.patient)
            if not consents:
                raise ConflictError("Nothing of this request is in force.")
            said = (("lifted", because), ("informed", informed.isoformat()))
            after = rights.fulfilled(stored.resource, said)
            if dry_run:
                attempt.disclosed.append(stored)
                return Handled(None, after)
            drafts = self._engine.drafts
            changes = [await drafts.prepared(call, drafts.of(stored.key, after, stored))]
            for one in consents:
                mine = replace(call, interaction=Interaction.UPDATE, principal=self._server, operation=None)
                mine = replace(mine, type=one.key.type, id=one.key.id)
                ended = {**one.resource, "status": "inactive"}
                changes.append(await drafts.prepared(mine, drafts.of(one.key, ended, one)))
            written, *_ = await self._engine.store.commit(changes)
            attempt.committed = True
        return Handled(stored.key, written.resource)

    async def _in_force(self, call: Call, request: ResourceKey, patient: ResourceKey) -> list[Stored]:
        pairs = [("patient", str(patient)), ("status", "active"), ("_count", _MOST)]
        looking = Call(Interaction.SEARCH_TYPE, self._server, call.instant, "Consent")
        page = await self._engine.found(looking, [parse("Consent", pairs, self._engine.language)])
        return [one for one in page.matches if request_behind(one.resource) == request]
