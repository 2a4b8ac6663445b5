"""What the index can say about a query: groups of keywords that every match has, the most selective first.

A group is a necessary condition and never a sufficient one: whatever the index finds is opened and decided by `match`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fhir_server.fhir.definitions import compartments
from fhir_server.search.extract import Keyword, compartment_keyword, type_keyword
from fhir_server.search.parameters import Parameter
from fhir_server.search.registry import Registry
from fhir_server.search.tree import AnyOf, Condition, InCompartment, Query, ValueIn
from fhir_server.search.types.composite import CompositeIs
from fhir_server.search.types.date import DateIs
from fhir_server.search.types.date_range import DateRange, date_range
from fhir_server.search.types.inside import inside_cover
from fhir_server.search.types.kind import MOST_KEYWORDS, Cover, Predicate

_ENDS = frozenset({"ge", "gt", "sa", "le", "lt", "eb"})
_WIDEST = 10
_BREADTH_OF_COMPARTMENT = 2
_BREADTH_OF_A_PART = 5


@dataclass(frozen=True, slots=True)
class Group:
    """A match has at least one of these keywords.

    `breadth` estimates how many resources have one, from 0 to 10; each step is about three times as many.
    """

    any_of: tuple[Keyword, ...]
    breadth: int


def plan(query: Query) -> tuple[Group, ...]:
    """AND of groups, the narrowest first. There is always one: at the least, that of the type.

    Only groups of things that were looked up before are larger than MOST_KEYWORDS.
    """
    groups = dict.fromkeys(_Planning(query.type, query.registry).groups(tuple(query.conditions())))
    everything = Group((type_keyword(query.type),), _WIDEST)
    return tuple(sorted(groups, key=_order)) or (everything,)


def _order(group: Group) -> tuple[int, int]:
    return group.breadth, len(group.any_of)


@dataclass(frozen=True, slots=True)
class _Planning:
    type_name: str
    registry: Registry

    @property
    def by_code(self) -> Mapping[str, Parameter]:
        return self.registry.of(self.type_name).by_code

    def groups(self, conditions: tuple[Condition, ...]) -> Iterator[Group]:
        if self.registry.whole:
            for code, (found, replaced) in _ranges(self.by_code, conditions).items():
                yield from self._spread(self.by_code[code], found.cover(), found.breadth)
                conditions = tuple(condition for condition in conditions if condition not in replaced)
        for condition in conditions:
            match condition:
                case ValueIn(code, any_of, False) if self.registry.whole:
                    yield from _either([tuple(self._covers(self.by_code[code], each, len(any_of))) for each in any_of])
                case InCompartment(compartment):
                    yield from self._compartment(compartment)
                case AnyOf(options):
                    yield from _either([tuple(self.groups(option)) for option in options])
                case _:
                    pass

    def _compartment(self, compartment: str) -> Iterator[Group]:
        """Patients' compartments have a keyword; another is found by the references through which one lies in it."""
        focus, _, _ = compartment.partition("/")
        if focus == "Patient":
            yield Group((compartment_keyword(self.type_name, compartment),), _BREADTH_OF_COMPARTMENT)
            return
        leading = compartments(self.type_name).get(focus, ())
        codes = dict.fromkeys(name for code in leading for name in self.by_code[code].indexed_as)
        if codes and self.type_name != focus and self.registry.whole:
            yield Group(tuple((f"{self.type_name}.{code}", compartment) for code in codes), _BREADTH_OF_COMPARTMENT)

    def _covers(self, parameter: Parameter, predicate: Predicate, alternatives: int) -> Iterator[Group]:
        """A composite is found by its parts, each under its own parameter."""
        if isinstance(predicate, CompositeIs):
            for component, part in zip(parameter.components, predicate.parts, strict=True):
                yield from self._covers(component, part, alternatives)
            return
        most = MOST_KEYWORDS // (alternatives * len(parameter.indexed_as))
        yield from self._spread(parameter, predicate.cover(most), predicate.breadth)
        if self.registry.finds_inside(self.type_name, parameter.definition.code):
            first, *others = inside_cover(predicate) or ((),)
            yield from self._spread(parameter, (first,), _BREADTH_OF_A_PART)
            yield from self._spread(parameter, tuple(others), _BREADTH_OF_A_PART + 2)

    def _spread(self, parameter: Parameter, cover: Cover, breadth: int) -> Iterator[Group]:
        """The keywords under the parameters that store them."""
        for group in cover:
            keywords = tuple(
                (f"{self.type_name}.{code}", keyword) for code in parameter.indexed_as for keyword in group
            )
            if keywords:
                yield Group(keywords, breadth)


def _ranges(
    by_code: Mapping[str, Parameter], conditions: tuple[Condition, ...]
) -> Mapping[str, tuple[DateRange, tuple[Condition, ...]]]:
    """Code -> what the conditions that name a beginning or an end leave, where a resource has only one value."""
    ends: dict[str, dict[Condition, DateIs]] = {}
    for condition in conditions:
        match condition:
            case ValueIn(code, (DateIs() as asked,), False) if by_code[code].single and asked.prefix in _ENDS:
                ends.setdefault(code, {})[condition] = asked
            case _:
                pass
    found = ((code, date_range(asked.values()), tuple(asked)) for code, asked in ends.items())
    return {code: (window, replaced) for code, window, replaced in found if window is not None}


def _either(alternatives: list[tuple[Group, ...]]) -> Iterator[Group]:
    """Of one alternative all groups; of several one group, made of the best of each, if each has one."""
    if len(alternatives) == 1:
        yield from alternatives[0]
    elif alternatives and all(alternatives):
        best = [min(groups, key=_order) for groups in alternatives]
        any_of = tuple(dict.fromkeys(keyword for group in best for keyword in group.any_of))
        if len(any_of) <= MOST_KEYWORDS:
            yield Group(any_of, max(group.breadth for group in best))
