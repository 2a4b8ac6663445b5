"""The places in a resource where a parameter's values lie, ready to be read.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from fhir_server.fhir.fhirpath import CompiledPath, Lane, compile_path
from fhir_server.kernel.json import Json
from fhir_server.search.types.composite import CompositeValue
from fhir_server.search.types.kind import Kind, Reader, Value

Read: TypeAlias = Callable[[Json], Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Source:
    """One place where values of the parameter `code` lie: below the top-level `property`, anywhere when that is "".

    `alone`: that property is all that `read` looks at, besides the type.
    """

    code: str
    property: str
    read: Read
    alone: bool = False


def readable(kind: Kind, path: CompiledPath) -> tuple[Lane, ...]:
    """The lanes whose items this kind can search. Some expressions reach others too: an Age where a date is wanted."""
    return tuple(lane for lane in path.lanes if kind.reader(lane.type, lane.owner) is not None)


def plain_sources(code: str, kind: Kind, lanes: tuple[Lane, ...]) -> tuple[Source, ...]:
    return tuple(
        _source(code, lane, _read(lane, reader), alone=bool(lane.names) and not lane.narrowed)
        for lane in lanes
        if (reader := kind.reader(lane.type, lane.owner)) is not None
    )


def composite_sources(code: str, path: CompiledPath, parts: tuple[tuple[Kind, str], ...]) -> tuple[Source, ...]:
    """`path` leads to what the parts stand in; each part has a kind and an expression on that."""
    return tuple(
        _source(
            code,
            lane,
            _read_together(
                lane,
                tuple(_readers(kind, compile_path(expression, lane.type).lanes) for kind, expression in parts),
            ),
        )
        for lane in path.lanes
    )


def _source(code: str, lane: Lane, read: Read, *, alone: bool = False) -> Source:
    return Source(code, lane.names[0] if lane.names else "", read, alone)


_Readers: TypeAlias = tuple[tuple[Lane, Reader], ...]


def _readers(kind: Kind, lanes: tuple[Lane, ...]) -> _Readers:
    found = ((lane, kind.reader(lane.type, lane.owner)) for lane in lanes)
    return tuple((lane, _of_objects(reader) if lane.type[0].isupper() else reader) for lane, reader in found if reader)


def _of_objects(reader: Reader) -> Reader:
    """Complex types are JSON objects; what is none was never valid, and is not read."""
    return lambda item: reader(item) if isinstance(item, dict) else ()


def _read(lane: Lane, reader: Reader) -> Read:
    """Every write reads every place: most hold one item or none, which is read straight."""
    steps, of_objects = lane.steps, lane.type[0].isupper()

    def read(resource: Json) -> Sequence[Value]:
        items: list[Any] = [resource]
        for step in steps:
            items = step(items, resource)
            if not items:
                return ()
        if of_objects:
            items = [item for item in items if isinstance(item, dict)]
        return reader(items[0]) if len(items) == 1 else [value for item in items for value in reader(item)]

    return read


def _read_together(lane: Lane, parts: tuple[_Readers, ...]) -> Read:
    def read(resource: Json) -> Sequence[Value]:
        found = (
            tuple(tuple(_values(part, item, resource)) for part in parts) for item in lane.items(resource, resource)
        )
        return [CompositeValue(values) for values in found if all(values)]

    return read


def _values(readers: _Readers, item: object, resource: Json) -> list[Value]:
    return [value for lane, reader in readers for found in lane.items(item, resource) for value in reader(found)]
