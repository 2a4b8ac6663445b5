"""The places in a resource where a parameter's values lie, ready to be read.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from fhir_server.fhir.fhirpath import CompiledPath, Lane, compile_path
from fhir_server.kernel.json import Json
from fhir_server.search.types.composite import CompositeValue
from fhir_server.search.types.kind import Kind, Reader, Value

Read: TypeAlias = Callable[[Json], Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Source:
    """One place where values of the parameter `code` lie: below the top-level `property`, anywhere when that is ""."""

    code: str
    property: str
    read: Read


def readable(kind: Kind, path: CompiledPath) -> tuple[Lane, ...]:
    """The lanes whose items this kind can search. Some expressions reach others too: an Age where a date is wanted."""
    return tuple(lane for lane in path.lanes if kind.reader(lane.type, lane.owner) is not None)


def plain_sources(code: str, kind: Kind, lanes: tuple[Lane, ...]) -> tuple[Source, ...]:
    return tuple(
        Source(code, lane.names[0] if lane.names else "", _read(lane, reader))
        for lane in lanes
        if (reader := kind.reader(lane.type, lane.owner)) is not None
    )


def _read(lane: Lane, reader: Reader) -> Read:
    def read(resource: Json) -> Sequence[Value]:
        return [value for item in lane.items(resource, resource) for value in reader(item)]

    return read


def composite_sources(code: str, path: CompiledPath, parts: tuple[tuple[Kind, str], ...]) -> tuple[Source, ...]:
    """`path` leads to what the parts stand in; each part has a kind and an expression on that."""
    return tuple(
        Source(code, lane.names[0] if lane.names else "", _read_composite(lane, _part_readers(lane.type, parts)))
        for lane in path.lanes
    )


_Parts: TypeAlias = tuple[tuple[tuple[Lane, Reader], ...], ...]


def _part_readers(type_name: str, parts: tuple[tuple[Kind, str], ...]) -> _Parts:
    return tuple(
        tuple(
            (lane, reader)
            for lane in compile_path(expression, type_name).lanes
            if (reader := kind.reader(lane.type, lane.owner)) is not None
        )
        for kind, expression in parts
    )


def _read_composite(lane: Lane, parts: _Parts) -> Read:
    def read(resource: Json) -> Sequence[Value]:
        found = (
            tuple(tuple(chain.from_iterable(_values(part, item, resource))) for part in parts)
            for item in lane.items(resource, resource)
        )
        return [CompositeValue(values) for values in found if all(values)]

    return read


def _values(part: tuple[tuple[Lane, Reader], ...], item: object, resource: Json) -> Sequence[Sequence[Value]]:
    return [reader(found) for lane, reader in part for found in lane.items(item, resource)]
