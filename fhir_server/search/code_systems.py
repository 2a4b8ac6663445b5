"""A CodeSystem as a hierarchy: which of its codes lie under a code, which above it, which a filter selects.

https://hl7.org/fhir/R4/codesystem.html#hierarchy, https://hl7.org/fhir/R4/valueset-filter-operator.html. What it does
not say for certain is refused: a set with a hole in it would look whole.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.json import Json
from fhir_server.search.results import not_supported, shown
from fhir_server.search.types.codes import folded

_PROPERTY = "http://hl7.org/fhir/concept-properties#"
_ITSELF = frozenset({"concept", "code"})
"""The names by which a filter means the code, and no property of it."""

MOST_CONCEPTS = 50_000

Edges = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """`under` and `over`: a code -> those one step below it and above it. `meaning`: what such a step means."""

    url: str
    codes: frozenset[str]
    under: Edges
    over: Edges
    meaning: str

    @classmethod
    def of(cls, resource: Json) -> "CodeSystem":
        """Raises InvalidRequestError for one that does not hold all of its codes, TooCostlyError for too many."""
        url = str(resource.get("url"))
        if resource.get("content") != "complete":
            raise not_supported(
                f"The CodeSystem {shown(url)} does not hold all of its codes: its content is not complete."
            )
        codes: set[str] = set()
        steps: set[tuple[str, str]] = set()
        for code, step in _walked(resource):
            codes.add(code)
            steps |= step
            if len(codes) > MOST_CONCEPTS:
                raise TooCostlyError(f"The CodeSystem {shown(url)} has more than {MOST_CONCEPTS} concepts.")
        return cls(
            url,
            frozenset(codes),
            _edges((over, under) for over, under in steps),
            _edges((under, over) for over, under in steps),
            str(resource.get("hierarchyMeaning", "")),
        )

    def below(self, code: str) -> frozenset[str]:
        """It, and all under it. Raises InvalidRequestError where that cannot be told."""
        return self._from(code, self.under)

    def above(self, code: str) -> frozenset[str]:
        """It, and all above it. Raises InvalidRequestError where that cannot be told."""
        return self._from(code, self.over)

    def filtered(self, property: str, operator: str, value: str) -> frozenset[str]:
        """Those that a filter of a ValueSet selects. Raises InvalidRequestError for filters on properties."""
        if property not in _ITSELF:
            raise not_supported(f"A filter of the ValueSet is on the property {shown(property)}, not on the concept.")
        match operator:
            case "is-a":
                return self.below(value)
            case "descendent-of":
                return self.below(value) - {folded(value)}
            case "is-not-a":
                return self.codes - self.below(value)
            case "generalizes":
                return self.above(value)
            case "=":
                return frozenset({self._known(value)})
            case _:
                raise not_supported(f"A filter of the ValueSet has the operator {shown(operator)}.")

    def _from(self, code: str, edges: Edges) -> frozenset[str]:
        start = self._known(code)
        if self.under and self.meaning != "is-a":
            raise not_supported(f"The hierarchyMeaning of the CodeSystem {shown(self.url)} is not is-a.")
        if self._is_circular():
            raise not_supported(f"The hierarchy of the CodeSystem {shown(self.url)} leads in a circle.")
        found, last = {start}, {start}
        while last:
            last = {each for one in last for each in edges.get(one, ())} - found
            found |= last
        return frozenset(found)

    def _known(self, code: str) -> str:
        if folded(code) not in self.codes:
            raise not_supported(f"The CodeSystem {shown(self.url)} does not have the code.")
        return folded(code)

    def _is_circular(self) -> bool:
        """What is left when again and again those are taken away under which nothing is left."""
        waiting = Counter({code: len(under) for code, under in self.under.items()})
        free = [code for code in self.over if code not in waiting]
        while free:
            for over in self.over.get(free.pop(), ()):
                waiting[over] -= 1
                if not waiting[over]:
                    free.append(over)
        return any(waiting.values())


def _walked(resource: Json) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """Each code with the steps, from above to below, that its concept tells of."""
    up, down = _names(resource, "parent"), _names(resource, "child")
    left: list[tuple[Json, str]] = [(concept, "") for concept in resource.get("concept", ())]
    while left:
        concept, holder = left.pop()
        code = folded(str(concept.get("code", "")))
        steps = {(holder, code)} if holder else set()
        for each in concept.get("property", ()):
            other = folded(str(each.get("valueCode", "")))
            if other and each.get("code") in up:
                steps.add((other, code))
            if other and each.get("code") in down:
                steps.add((code, other))
        yield code, steps
        left += [(inner, code) for inner in concept.get("concept", ())]


def _names(resource: Json, meaning: str) -> frozenset[str]:
    """The properties that name a parent (a child): those declared as HL7's, and what has its name."""
    declared = (each for each in resource.get("property", ()) if each.get("uri") == f"{_PROPERTY}{meaning}")
    return frozenset({meaning, *(str(each.get("code")) for each in declared)})


def _edges(pairs: Iterator[tuple[str, str]]) -> Edges:
    found: dict[str, set[str]] = {}
    for one, other in pairs:
        found.setdefault(one, set()).add(other)
    return {one: frozenset(others) for one, others in found.items()}
