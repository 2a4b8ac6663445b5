"""The search parameters of a resource type, compiled: where their values lie and under which name they are indexed.

https://hl7.org/fhir/R4/searchparameter.html
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TypeAlias

from fhir_server.fhir.definitions import SearchParameter, search_parameters
from fhir_server.fhir.fhirpath import Lane, compile_path
from fhir_server.kernel.json import Json
from fhir_server.search.kinds import KINDS
from fhir_server.search.sharing import served_by
from fhir_server.search.types.kind import Kind, Reader, Value

ADDRESS = frozenset({"_id", "_lastUpdated"})
"""Answered from the address of a stored resource, which is in clear: no values, no tokens."""

Read: TypeAlias = Callable[[Json], Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Source:
    """One place where values of the parameter `code` lie: below the top-level `property`, anywhere when that is ""."""

    code: str
    property: str
    read: Read


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of one type.

    `types` are the FHIR types of its values, `indexed_as` the codes under which its keywords are stored (`family` is
    found through `name`). `single`: a resource has at most one value.
    """

    definition: SearchParameter
    kind: Kind
    types: frozenset[str]
    sources: tuple[Source, ...]
    indexed_as: tuple[str, ...]
    single: bool


@dataclass(frozen=True, slots=True)
class Parameters:
    """All of one type. `by_property` and `indexed` list sources by the top-level property that they begin with."""

    by_code: Mapping[str, Parameter]
    by_property: Mapping[str, tuple[Source, ...]]
    indexed: Mapping[str, tuple[Source, ...]]


@lru_cache(maxsize=256)
def parameters_of(type_name: str) -> Parameters:
    """Those whose kind is spoken here; others R4 defines are simply not among them."""
    lanes = {
        code: compile_path(definition.expression, type_name).lanes
        for code, definition in search_parameters(type_name).items()
        if definition.kind in KINDS
    }
    shared = served_by({code: (search_parameters(type_name)[code].kind, found) for code, found in lanes.items()})
    by_code = {
        code: _parameter(search_parameters(type_name)[code], found, shared[code]) for code, found in lanes.items()
    }
    searched = [parameter for code, parameter in by_code.items() if code not in ADDRESS]
    return Parameters(
        MappingProxyType(by_code),
        _by_property(source for parameter in searched for source in parameter.sources),
        _by_property(
            source
            for parameter in searched
            if parameter.indexed_as == (parameter.definition.code,)
            for source in parameter.sources
        ),
    )


def _parameter(definition: SearchParameter, lanes: tuple[Lane, ...], indexed_as: tuple[str, ...]) -> Parameter:
    kind = KINDS[definition.kind]
    readable = [(lane, reader) for lane in lanes if (reader := kind.reader(lane.type, lane.owner)) is not None]
    return Parameter(
        definition,
        kind,
        frozenset(lane.type for lane, _ in readable),
        tuple(
            Source(definition.code, lane.names[0] if lane.names else "", _read(lane, reader))
            for lane, reader in readable
        ),
        indexed_as,
        single=len({lane.elements for lane, _ in readable}) == 1 and not any(lane.many for lane, _ in readable),
    )


def _read(lane: Lane, reader: Reader) -> Read:
    def read(resource: Json) -> Sequence[Value]:
        return [value for item in lane.items(resource, resource) for value in reader(item)]

    return read


def _by_property(sources: Iterable[Source]) -> Mapping[str, tuple[Source, ...]]:
    found: dict[str, tuple[Source, ...]] = {}
    for source in sources:
        found[source.property] = (*found.get(source.property, ()), source)
    return MappingProxyType(found)
