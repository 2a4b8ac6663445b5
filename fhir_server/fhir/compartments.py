"""Which compartments a resource lies in, and which patients it names anywhere.

https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from functools import cache
from typing import Any

from fhir_server.fhir.data import read
from fhir_server.fhir.definitions import compartments, search_parameters
from fhir_server.fhir.fhirpath import Lane, compile_path
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json


def memberships(resource: Json, base: str = "") -> tuple[str, ...]:
    """The compartments as sorted references: `Encounter/9`, `Patient/7`. The focus of a compartment lies in its own.

    `base` is this server's own address without a closing slash: `<base>/Patient/7` is the same as `Patient/7`.
    """
    resource_type = resource["resourceType"]
    found: set[str] = set()
    for lane, names in _ways(resource_type):
        if lane.names and lane.names[0] not in resource:
            continue
        for value in lane.items(resource, resource):
            text = value.get("reference") if isinstance(value, dict) else None
            if isinstance(text, str) and (key := _key(text, base)) is not None and key.type in names:
                found.add(str(key))
    if resource_type in read("compartments") and isinstance(resource.get("id"), str):
        found.add(f"{resource_type}/{resource['id']}")
    return tuple(sorted(found))


@cache
def _ways(resource_type: str) -> tuple[tuple[Lane, frozenset[str]], ...]:
    """The lanes of each expression once, with the compartments for which they count."""
    parameters = search_parameters(resource_type)
    names: dict[str, set[str]] = {}
    for compartment, codes in compartments(resource_type).items():
        for code in codes:
            names.setdefault(parameters[code].expression, set()).add(compartment)
    return tuple(
        (lane, frozenset(found)) for each, found in names.items() for lane in compile_path(each, resource_type).lanes
    )


def subjects(resource: Json, base: str = "") -> tuple[str, ...]:
    """The ids of every patient named in any Reference, also in contained and extensions, and of any Patient it carries.

    A contained Patient has no id of its own on this server and is not counted. Nor is another record that a Patient is
    linked to: R4 has it that both are of the same person, and each is sealed, and erased, as what it is.
    """
    found: set[str] = set()
    is_linked = resource.get("resourceType") == "Patient" and "link" in resource
    _walk({**resource, "link": []} if is_linked else resource, base, found)
    return tuple(sorted(found))


def _walk(node: Json, base: str, found: set[str]) -> None:
    for name, value in node.items():
        if isinstance(value, str):
            if name == "reference" and "Patient/" in value:
                key = _key(value, base)
                if key is not None and key.type == "Patient":
                    found.add(key.id)
        elif isinstance(value, dict):
            _walk(value, base, found)
        elif isinstance(value, list):
            _walk_all(value, base, found, contained=name == "contained")
    if "resourceType" in node and node["resourceType"] == "Patient" and isinstance(node.get("id"), str):
        found.add(node["id"])


def _walk_all(members: list[Any], base: str, found: set[str], *, contained: bool) -> None:
    for member in members:
        if isinstance(member, dict):
            _walk({**member, "resourceType": None} if contained else member, base, found)
        elif isinstance(member, list):
            _walk_all(member, base, found, contained=contained)


def _key(text: str, base: str) -> ResourceKey | None:
    return parse_reference(text.removeprefix(f"{base}/") if base else text)
