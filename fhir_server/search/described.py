"""What a CapabilityStatement says of searching a type: parameters with their modifiers, and what can be included.

https://hl7.org/fhir/R4/capabilitystatement-definitions.html#CapabilityStatement.rest.resource.searchParam
"""

from collections.abc import Iterator

from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.json import Json
from fhir_server.search.parameters import Parameter
from fhir_server.search.registry import STANDARD, Registry


def described(type: str, registry: Registry = STANDARD) -> Json:
    """The elements of `rest.resource` about search."""
    by_code = registry.of(type).by_code
    references = [code for code, each in by_code.items() if each.kind.name == "reference"]
    return {
        **({"searchInclude": ["*", *(f"{type}:{code}" for code in references)]} if references else {}),
        **({"searchRevInclude": back} if (back := list(_back(type, registry))) else {}),
        "searchParam": [_parameter(each) for each in by_code.values()],
    }


def _back(type: str, registry: Registry) -> Iterator[str]:
    for other in sorted(served_types()):
        for code, each in registry.of(other).by_code.items():
            if each.kind.name == "reference" and type in each.definition.targets:
                yield f"{other}:{code}"


def _parameter(parameter: Parameter) -> Json:
    definition = parameter.definition
    own = sorted(parameter.modifiers - definition.targets)
    if definition.targets and parameter.kind.name == "reference":
        own.append("[type]")
    told = f"Modifiers: {', '.join(own)}." if own else "No modifiers."
    return {"name": definition.code, "type": definition.kind, "documentation": told}
