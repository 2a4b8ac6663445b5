"""All the resources there are, in the order in which they were stored, and plain ways to look at them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.engine.stored import Stored
from fhir_server.fhir.definitions import SearchParameter, search_parameters
from fhir_server.fhir.fhirpath import compile_path
from fhir_server.kernel.json import Json
from tests.properties.search.oracle.kinds import referred

Item = tuple[Any, str, str]
"""An element, its FHIR type, and the type of what it stands in."""


@dataclass
class World:
    """`stored` is what the store says it holds; of it only ids, times, compartments and the JSON are believed."""

    stored: Sequence[Stored]
    base: str
    by_key: dict[str, Stored] = field(default_factory=dict)
    by_type: dict[str, list[Stored]] = field(default_factory=dict)
    _items: dict[tuple[str, str], list[Item]] = field(default_factory=dict)
    _pools: dict[tuple[str, str], list[Item]] = field(default_factory=dict)
    _composites: dict[tuple[str, str], list[list[list[Item]]]] = field(default_factory=dict)
    _back: dict[int, tuple[Any, frozenset[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in self.stored:
            self.by_key[str(each.key)] = each
            self.by_type.setdefault(each.key.type, []).append(each)

    def items(self, of: Stored, code: str) -> list[Item]:
        """The elements that a parameter speaks of, by its expression; `test_fhirpath_oracle` vouches for that."""
        known = (str(of.key), code)
        if known not in self._items:
            self._items[known] = list(_items(of.resource, search_parameters(of.key.type)[code].expression))
        return self._items[known]

    def pool(self, type: str, code: str) -> list[Item]:
        """What all resources of a type have for a parameter: whatever is asked is drawn from it."""
        if (type, code) not in self._pools:
            self._pools[type, code] = [item for each in self.by_type.get(type, []) for item in self.items(each, code)]
        return self._pools[type, code]

    def composites(self, type: str, code: str) -> list[list[list[Item]]]:
        if (type, code) not in self._composites:
            composite = search_parameters(type)[code]
            found = [parts for each in self.by_type.get(type, []) for parts in self.parts(each, composite)]
            self._composites[type, code] = [parts for parts in found if all(parts)]
        return self._composites[type, code]

    def back(self, type: str, code: str, criterion: Any) -> frozenset[str]:
        """What resources of a type that meet a criterion refer to; looked up once for a criterion."""
        if (known := self._back.get(id(criterion))) is None or known[0] is not criterion:
            met = [each for each in self.by_type.get(type, []) if criterion.holds(each)]
            found = frozenset(key for each in met for key in self.references(each, code))
            self._back = {id(criterion): (criterion, found), **dict(list(self._back.items())[:20])}
        return self._back[id(criterion)][1]

    def parts(self, of: Stored, composite: SearchParameter) -> Iterator[list[list[Item]]]:
        """For each element that a composite speaks of, what its components reach."""
        for item, type, _ in _items(of.resource, composite.expression):
            yield [list(_items(item, part.expression, type, of.resource)) for part in composite.components]

    def references(self, of: Stored, code: str) -> list[str]:
        """`Type/id` of what a parameter refers to here, and canonical URLs as they are written."""
        found = []
        for item, type, _ in self.items(of, code):
            if text := referred(item, type):
                found.append(text.removeprefix(f"{self.base}/").partition("/_history/")[0])
        return found


def _items(item: Json, expression: str, type: str | None = None, root: Json | None = None) -> Iterator[Item]:
    whole = item if root is None else root
    for lane in compile_path(expression, type or item["resourceType"]).lanes:
        for found in lane.items(item, whole):
            if found is not None and (not lane.type[0].isupper() or isinstance(found, dict)):
                yield found, lane.type, lane.owner


def parameters(type: str) -> Mapping[str, SearchParameter]:
    """Those of a type; `special` ones have tests of their own."""
    return {code: each for code, each in search_parameters(type).items() if each.kind != "special"}
