"""Whether a resource is valid R4: everything the definitions say, and on request the models' second opinion.

https://hl7.org/fhir/R4/validation.html
"""

from fhir_server.fhir.definitions import served_types, why_not_served
from fhir_server.fhir.faults import issues
from fhir_server.fhir.scope import Scope
from fhir_server.fhir.shapes import shapes
from fhir_server.fhir.structure import structure_issues
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.kernel.json import Json


def validate(resource: Json, *, with_models: bool = False) -> None:
    """Raises UnprocessableError with an Issue for each fault (the first hundred), never quoting what it found.

    `with_models` asks the models of `fhir.resources` too. The definitions refuse all that these refuse, which a test
    holds against them, and cost a tenth.
    """
    name = resource.get("resourceType")
    if not isinstance(name, str) or name not in served_types():
        raise UnprocessableError(why_not_served(name), expression="resourceType")
    found: list[Issue] = issues(name, shapes()[name](resource, resource, Scope.of(resource)) or ())
    if with_models and not found:
        found = structure_issues(resource)
    if found:
        raise UnprocessableError(issues=found)
