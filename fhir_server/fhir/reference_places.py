"""Every literal reference in a resource, and how FHIRPath names its place.

https://hl7.org/fhir/R4/references.html#literal
"""

from typing import Any, NamedTuple, TypeAlias

from fhir_server.fhir.elements import children
from fhir_server.kernel.json import Json

Steps: TypeAlias = tuple[str | int, ...]


class Place(NamedTuple):
    """`steps` lead from the resource to the Reference that holds `text`."""

    steps: Steps
    text: str


def reference_places(resource: Json) -> list[Place]:
    """In the order of the resource; those in contained and in extensions too. Nothing is asked of its validity."""
    found: list[Place] = []
    _walk(resource, [], found)
    return found


def _walk(node: Any, above: list[str | int], found: list[Place]) -> None:  # noqa: ANN401  JSON is any value
    for step, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            above.append(step)
            _walk(value, above, found)
            above.pop()
        elif step == "reference" and isinstance(value, str):
            found.append(Place(tuple(above), value))


def expression_of(resource: Json, steps: Steps) -> str:
    """`Observation.subject.reference`; it stops before a name that R4 does not have: that one is the client's."""
    type_name = str(resource.get("resourceType"))
    said = type_name if children(type_name) else ""
    node: Any = resource
    for step in steps:
        node = node[step]
        if isinstance(step, int):
            said += f"[{step}]"
        elif known := _child(type_name, step):
            said += f".{known[0]}"
            type_name = known[1]
        else:
            return said
        if type_name == "Resource" and isinstance(node, dict):
            type_name = str(node.get("resourceType"))
    return f"{said}.reference"


def _child(type_name: str, json_name: str) -> tuple[str, str] | None:
    plain = json_name.removeprefix("_")
    for name, elements in children(type_name).items():
        for element in elements:
            if element.json_name == plain:
                return name, element.type
    return None
