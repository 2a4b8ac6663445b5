"""What a CapabilityStatement says of searching a type: parameters with their modifiers, and what can be included.

https://hl7.org/fhir/R4/capabilitystatement-definitions.html#CapabilityStatement.rest.resource.searchParam
"""

from collections.abc import Iterator

from fhir_server.fhir.definitions import search_parameters, served_types
from fhir_server.kernel.json import Json
from fhir_server.search.parameters import Parameter, parameters_of


def described(type: str) -> Json:
    """The elements of `rest.resource` about search."""
    by_code = parameters_of(type).by_code
    references = [code for code, each in by_code.items() if each.kind.name == "reference"]
    return {
        **({"searchInclude": ["*", *(f"{type}:{code}" for code in references)]} if references else {}),
        **({"searchRevInclude": back} if (back := list(_back(type))) else {}),
        "searchParam": [_parameter(each) for each in by_code.values()],
    }


def _back(type: str) -> Iterator[str]:
    for other in sorted(served_types()):
        for code, each in search_parameters(other).items():
            if each.kind == "reference" and type in each.targets:
                yield f"{other}:{code}"


def _parameter(parameter: Parameter) -> Json:
    definition = parameter.definition
    own = sorted(parameter.modifiers - definition.targets)
    if definition.targets and parameter.kind.name == "reference":
        own.append("[type]")
    told = f"Modifiers: {', '.join(own)}." if own else "No modifiers."
    return {"name": definition.code, "type": definition.kind, "documentation": told}
