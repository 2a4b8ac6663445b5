"""Step: a breach is documented as the law asks, its clock is the law's, and it is never taken back.

GDPR Art. 33(1) and (5); rows S20, S66.
"""

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import Issue, MethodNotAllowedError, UnprocessableError
from fhir_server.privacy.breaches.record import faults, is_breach, timed


class Documenting(Step):
    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "Task":
            return change
        previous = change.previous
        before = previous.resource if previous is not None and not previous.deleted else None
        was = before is not None and is_breach(before)
        if change.resource is None:
            if was:
                raise MethodNotAllowedError("A breach stays on record.", allow=("GET", "HEAD", "PUT", "PATCH"))
            return change
        if not was and not is_breach(change.resource):
            return change
        found = list(faults(change.resource, before, call.instant))
        if found:
            raise UnprocessableError(issues=[Issue("invalid", says, expression="Task.input") for says in found])
        return change.with_resource(timed(change.resource))
