"""$validate as an interaction: admitted like a read, recorded like any call, told of what the caller may see.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Interaction, Trace
from fhir_server.engine.interactions import Engine
from fhir_server.engine.resource_validation import Question, validation_issues
from fhir_server.engine.stored import Stored
from fhir_server.fhir.outcome import operation_outcome
from fhir_server.kernel.errors import Issue, NoLegalBasisError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json


class Validation:
    """`doubts`: what else is to be said of a resource without faults."""

    def __init__(self, engine: Engine, doubts: Callable[[Json], Iterable[Issue]] = lambda _: ()) -> None:
        self._engine, self._doubts = engine, doubts

    async def outcome(self, call: Call, asked: Question) -> Json:
        """The OperationOutcome. Without a resource in the question, it is about the stored one that the URL names."""
        reading = replace(call, interaction=Interaction.READ, operation=None)

        async def once(attempt: Attempt) -> Json:
            await self._engine.steps.admit(reading)
            question = asked
            if asked.resource is None:
                stored = await self._engine.look(reading)
                attempt.disclosed.append(stored)
                question = replace(asked, resource=(await stored.whole()).resource)
            found = await validation_issues(question, str(call.type), call.id, lambda keys: self._missing(call, keys))
            if question.resource is not None and not any(one.severity in {"error", "fatal"} for one in found):
                found += self._doubts(question.resource)
            return operation_outcome(found)

        return await disclosing(self._engine.steps, call, once)

    async def _missing(self, call: Call, keys: Collection[ResourceKey]) -> set[ResourceKey]:
        """What the caller would not find. Nothing of it is shown, so looking at it leaves no trace."""
        found = await self._engine.store.read_many(keys)
        return {key for key in keys if key not in found or not await self._may_see(call, found[key])}

    async def _may_see(self, call: Call, stored: Stored) -> bool:
        if stored.deleted:
            return False
        looking = Call(Interaction.READ, call.principal, call.instant, *stored.key, purpose=call.purpose, trace=Trace())
        try:
            return await self._engine.steps.disclose(looking, stored) is not None
        except NoLegalBasisError:
            return False
