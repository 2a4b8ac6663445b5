"""Which parameters need no keywords of their own, because those of others find the same resources and few more.

`family` and `given` are found among the keywords of `name`, `patient` among those of `subject`, `combo-code` among
those of `code` and of `component-code`; what comes too much is dropped after opening. It halves what a patient costs in
the index, and what the index tells about one.
"""

from collections.abc import Collection, Mapping
from typing import TypeAlias

from fhir_server.fhir.fhirpath import Lane
from fhir_server.search.types.string import PARTS

Found: TypeAlias = tuple[str, tuple[Lane, ...]]
"""A kind of parameter, and where its values lie."""

Place: TypeAlias = tuple[str, ...]


def served_by(parameters: Mapping[str, Found], last: Collection[str] = ()) -> Mapping[str, tuple[str, ...]]:
    """Code -> the codes under whose keywords its values are indexed; most stand for themselves.

    A code that serves another always serves itself alone. Those in `last` serve only each other.
    """
    places = {code: _places(*found) for code, found in parameters.items()}
    sole: dict[Place, str] = {}
    for code in sorted(parameters, key=lambda code: (code in last, len(code), code)):
        if len(places[code]) == 1 and all(_is_whole(parameters[code][0], lane) for lane in parameters[code][1]):
            sole.setdefault(next(iter(places[code])), code)
    return {
        code: tuple(sorted({sole[place] for place in found})) if found and found <= sole.keys() else (code,)
        for code, found in places.items()
    }


def _places(kind: str, lanes: tuple[Lane, ...]) -> frozenset[Place]:
    """Where the values lie, criteria left aside, parts of a name or address taken for the whole. Empty: unshared."""
    if not all(lane.names for lane in lanes):
        return frozenset()
    return frozenset((kind, *(lane.names[:-1] if _is_part(kind, lane) else lane.names)) for lane in lanes)


def _is_part(kind: str, lane: Lane) -> bool:
    return kind == "string" and lane.names[-1] in PARTS.get(lane.owner, ())


def _is_whole(kind: str, lane: Lane) -> bool:
    return not lane.narrowed and not _is_part(kind, lane)
