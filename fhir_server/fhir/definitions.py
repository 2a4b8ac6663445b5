"""What R4 defines of a resource type: whether it is served, how it is searched, in which compartments it lies.

https://hl7.org/fhir/R4/searchparameter-registry.html, https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, TypeAlias

from fhir_server.fhir.data import read
from fhir_server.kernel.json import Json

Kind: TypeAlias = Literal["string", "token", "date", "number", "quantity", "reference", "uri", "composite", "special"]


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a composite: the code of its own parameter, and the expression on what the composite yields."""

    code: str
    expression: str


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One parameter as one type has it. `expression` speaks of that type, of Resource or of DomainResource alone.

    `targets` are the types that a reference may name (R4 lists them all where any will do).
    """

    code: str
    kind: Kind
    expression: str
    targets: frozenset[str] = frozenset()
    components: tuple[Component, ...] = ()


@cache
def served_types() -> frozenset[str]:
    """Every concrete R4 resource type but those whose R4B model would refuse a valid R4 instance.

    The file `refused_types.json` names these, each with the reason.
    """
    concrete = {name for name, each in read("types").items() if each["kind"] == "resource" and "abstract" not in each}
    return frozenset(concrete - read("refused_types").keys())


def why_not_served(name: object) -> str:
    """What a client is told who asks for a type that is not in `served_types`. Only names out of R4 are repeated."""
    reason = read("refused_types").get(name) if isinstance(name, str) else None
    if reason is None:
        return "FHIR R4 has no resource type of this name."
    first, *others = reason.split("; ")
    more = f", and {len(others)} more differences" if others else ""
    return f"{name} is not served: its R4 shape differs from R4B ({first}{more})."


def search_parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """Code -> parameter, those of Resource (`_id`, `_tag` …) included; an unknown type has none."""
    return _search_parameters().get(resource_type, MappingProxyType({}))


@cache
def _search_parameters() -> Mapping[str, Mapping[str, SearchParameter]]:
    found: dict[str, dict[str, SearchParameter]] = {}
    for key, each in read("search_parameters").items():
        resource_type, _, code = key.partition(".")
        found.setdefault(resource_type, {})[code] = _search_parameter(code, each)
    anywhere = found.pop("Resource")
    known = [name for name, each in read("types").items() if each["kind"] == "resource"]
    return {name: MappingProxyType({**anywhere, **found.get(name, {})}) for name in known}


def _search_parameter(code: str, each: Json) -> SearchParameter:
    return SearchParameter(
        code,
        each["kind"],
        each["expression"],
        frozenset(each.get("targets", ())),
        tuple(Component(part["code"], part["expression"]) for part in each.get("components", ())),
    )


def compartments(resource_type: str) -> Mapping[str, tuple[str, ...]]:
    """Compartment (`Patient`, `Device` …) -> the search parameters by which a resource of this type lies in it."""
    return _compartments().get(resource_type, MappingProxyType({}))


def compartment_types() -> frozenset[str]:
    """What a compartment may be about: Patient, Encounter, Practitioner, RelatedPerson, Device."""
    return frozenset(read("compartments"))


@cache
def _compartments() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for compartment, members in read("compartments").items():
        for resource_type, codes in members.items():
            found.setdefault(resource_type, {})[compartment] = tuple(codes)
    return {name: MappingProxyType(each) for name, each in found.items()}
