"""What the index can say about a query: groups of keywords that every match has, the most selective first.

A group is a necessary condition and never a sufficient one: whatever the index finds is opened and decided by `match`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fhir_server.fhir.definitions import compartments
from fhir_server.search.extract import Keyword, compartment_keyword, type_keyword
from fhir_server.search.parameters import Parameter, parameters_of
from fhir_server.search.tree import AnyOf, Condition, InCompartment, Query, ValueIn
from fhir_server.search.types.composite import CompositeIs
from fhir_server.search.types.date import DateIs
from fhir_server.search.types.date_range import DateRange, date_range
from fhir_server.search.types.kind import MOST_KEYWORDS, Cover, Predicate

_ENDS = frozenset({"ge", "gt", "sa", "le", "lt", "eb"})
_WIDEST = 10
_BREADTH_OF_COMPARTMENT = 2


@dataclass(frozen=True, slots=True)
class Group:
    """A match has at least one of these keywords.

    `breadth` estimates how many resources have one, from 0 to 10; each step is about three times as many.
    """

    any_of: tuple[Keyword, ...]
    breadth: int


def plan(query: Query) -> tuple[Group, ...]:
    """AND of groups, each of at most MOST_KEYWORDS. There is always one: at the least, that of the type."""
    groups = dict.fromkeys(_groups(query.type, tuple(query.conditions())))
    everything = Group((type_keyword(query.type),), _WIDEST)
    return tuple(sorted(groups, key=_order)) or (everything,)


def _order(group: Group) -> tuple[int, int]:
    return group.breadth, len(group.any_of)


def _groups(type_name: str, conditions: tuple[Condition, ...]) -> Iterator[Group]:
    by_code = parameters_of(type_name).by_code
    for code, (found, replaced) in _ranges(by_code, conditions).items():
        yield from _spread(type_name, by_code[code], found.cover(), found.breadth)
        conditions = tuple(condition for condition in conditions if condition not in replaced)
    for condition in conditions:
        match condition:
            case ValueIn(code, any_of, False):
                yield from _value_groups(type_name, by_code[code], any_of)
            case InCompartment(compartment):
                yield from _compartment_groups(type_name, compartment)
            case AnyOf(options):
                yield from _either([tuple(_groups(type_name, option)) for option in options])
            case _:
                pass


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


def _compartment_groups(type_name: str, compartment: str) -> Iterator[Group]:
    """Patients' compartments have a keyword; another one is found by the references through which one lies in it."""
    focus, _, _ = compartment.partition("/")
    if focus == "Patient":
        yield Group((compartment_keyword(type_name, compartment),), _BREADTH_OF_COMPARTMENT)
        return
    by_code = parameters_of(type_name).by_code
    codes = [name for code in compartments(type_name).get(focus, ()) for name in by_code[code].indexed_as]
    if codes and type_name != focus:
        yield Group(
            tuple((f"{type_name}.{code}", compartment) for code in dict.fromkeys(codes)), _BREADTH_OF_COMPARTMENT
        )


def _value_groups(type_name: str, parameter: Parameter, any_of: tuple[Predicate, ...]) -> Iterator[Group]:
    yield from _either([tuple(_covers(type_name, parameter, each, len(any_of))) for each in any_of])


def _covers(type_name: str, parameter: Parameter, predicate: Predicate, alternatives: int) -> Iterator[Group]:
    """A composite is found by its parts, each under its own parameter."""
    if isinstance(predicate, CompositeIs):
        for component, part in zip(parameter.components, predicate.parts, strict=True):
            yield from _covers(type_name, component, part, alternatives)
    else:
        most = MOST_KEYWORDS // (alternatives * len(parameter.indexed_as))
        yield from _spread(type_name, parameter, predicate.cover(most), predicate.breadth)


def _spread(type_name: str, parameter: Parameter, cover: Cover, breadth: int) -> Iterator[Group]:
    """The keywords under the parameters that store them."""
    for group in cover:
        keywords = tuple((f"{type_name}.{code}", keyword) for code in parameter.indexed_as for keyword in group)
        if keywords:
            yield Group(keywords, breadth)


def _either(alternatives: list[tuple[Group, ...]]) -> Iterator[Group]:
    """Of one alternative all groups; of several one group, made of the best of each, if each has one."""
    if len(alternatives) == 1:
        yield from alternatives[0]
    elif alternatives and all(alternatives):
        best = [min(groups, key=_order) for groups in alternatives]
        any_of = tuple(dict.fromkeys(keyword for group in best for keyword in group.any_of))
        if len(any_of) <= MOST_KEYWORDS:
            yield Group(any_of, max(group.breadth for group in best))
