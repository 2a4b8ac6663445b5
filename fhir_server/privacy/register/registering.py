"""Step: an entry of the register says what the law asks of it, or is not taken.

GDPR Art. 30(1); rows S30 to S33.
"""

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.privacy.register.entries import faults, kind_of
from fhir_server.privacy.retention import Pack


class Registering(Step):
    def __init__(self, pack: Pack) -> None:
        self._rules = frozenset(rule.id for rule in pack.rules)

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.resource is None or kind_of(change.resource) is None:
            return change
        found = list(faults(change.resource, self._rules))
        if found:
            raise UnprocessableError(issues=[Issue("invalid", says, expression=where) for where, says in found])
        return change
