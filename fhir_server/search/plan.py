"""What the index can say about a query: groups of keywords that every match has, the most selective first.

A group is a necessary condition and never a sufficient one: whatever the index finds is opened and decided by `match`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from fhir_server.search.extract import Keyword, type_keyword
from fhir_server.search.parameters import Parameter, parameters_of
from fhir_server.search.tree import AnyOf, Condition, Query, ValueIn
from fhir_server.search.types.composite import CompositeIs
from fhir_server.search.types.date import DateIs, between
from fhir_server.search.types.kind import MOST_KEYWORDS, Cover, Predicate

_AFTER, _BEFORE = frozenset({"ge", "gt", "sa"}), frozenset({"le", "lt", "eb"})
_WIDEST = 10


@dataclass(frozen=True, slots=True)
class Group:
    """A match has at least one of these keywords. `breadth` estimates how many resources have one, from 0 to 10."""

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
    ranges = {code: pair for code, pair in _ranges(conditions) if by_code[code].single}
    for code, (after, before) in ranges.items():
        yield from _spread(
            type_name, by_code[code], between(after, before), DateIs("eq", after.low, before.high).breadth
        )
    for condition in conditions:
        match condition:
            case ValueIn(code, any_of, False):
                if not (code in ranges and set(any_of) <= set(ranges[code])):
                    yield from _value_groups(type_name, by_code[code], any_of)
            case AnyOf(options):
                yield from _either([tuple(_groups(type_name, option)) for option in options])
            case _:
                pass


def _ranges(conditions: Iterable[Condition]) -> Iterator[tuple[str, tuple[DateIs, DateIs]]]:
    """Parameters asked for with both a beginning and an end, such as `date=ge2024-05-01&date=lt2024-05-02`."""
    sole = [
        (condition.parameter, condition.any_of[0])
        for condition in conditions
        if isinstance(condition, ValueIn) and not condition.negated and len(condition.any_of) == 1
    ]
    for code, asked in groupby(sorted(sole, key=lambda each: each[0]), key=lambda each: each[0]):
        dates = [predicate for _, predicate in asked if isinstance(predicate, DateIs)]
        after = [predicate for predicate in dates if predicate.prefix in _AFTER]
        before = [predicate for predicate in dates if predicate.prefix in _BEFORE]
        if after and before:
            yield code, (max(after, key=lambda each: each.low), min(before, key=lambda each: each.high))


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
