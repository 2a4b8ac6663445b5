"""References by search, `Patient?identifier=…`: which ones a resource has, and the real ones in their place.

https://hl7.org/fhir/R4/http.html#trules: in a transaction each is replaced by the one resource that it matches.
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.fhir.reference_places import expression_of, reference_places
from fhir_server.fhir.references import searched_type
from fhir_server.kernel.json import Json


def conditional_references(resource: Json) -> Mapping[str, tuple[str, ...]]:
    """The text of each -> where it stands, in FHIRPath, in the order of the resource. Most resources have none."""
    found: dict[str, tuple[str, ...]] = {}
    for steps, text in reference_places(resource):
        if is_conditional(text):
            found[text] = (*found.get(text, ()), expression_of(resource, steps))
    return found


def is_conditional(reference: str) -> bool:
    return searched_type(reference) is not None


def with_references(value: Any, known: Mapping[str, str]) -> Any:  # noqa: ANN401  JSON is any value
    """The same JSON with every `reference` among the known replaced; what has none of them is shared, not copied."""
    if isinstance(value, dict):
        changed = {name: _replaced(name, child, known) for name, child in value.items()}
        return changed if any(changed[name] is not child for name, child in value.items()) else value
    if isinstance(value, list):
        members = [with_references(child, known) for child in value]
        return members if any(map(_differ, members, value)) else value
    return value


def _replaced(name: str, child: Any, known: Mapping[str, str]) -> Any:  # noqa: ANN401  JSON is any value
    if name == "reference" and isinstance(child, str):
        return known.get(child, child)
    return with_references(child, known)


def _differ(one: object, other: object) -> bool:
    return one is not other
