"""A composite search parameter that could never take part is refused when it is written, where its writer can mend it.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.component. What depends on the other
parameters that a clinic has is told by the rebuild of the index.
"""

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.search.custom import ill_formed


class Defining(Step):
    async def prepare(self, call: Call, change: Change) -> Change:
        if change.resource is not None and change.key.type == "SearchParameter":
            fault = ill_formed(change.resource)
            if fault is not None:
                raise UnprocessableError(issues=[Issue("invalid", f"It could not take part: {fault}.", fault.place)])
        return change
