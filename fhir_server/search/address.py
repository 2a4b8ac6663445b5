"""What the address of a stored resource, which is in clear, can say about a query: ids, compartments, the last change.

Necessary conditions like the groups of `plan`: a store may use any of them, `match` decides.
"""

from dataclasses import dataclass

from fhir_server.fhir.definitions import compartments as defined
from fhir_server.search.tree import IdIn, InCompartment, Query, Updated
from fhir_server.search.types.date import DateIs
from fhir_server.search.types.moment import BEGINNING, END, Stretch

_MILLISECOND = 1000


@dataclass(frozen=True, slots=True)
class Address:
    """`ids` None: any. `updated`: microseconds since 1970, without the upper bound. All `compartments` have to hold."""

    ids: frozenset[str] | None
    compartments: tuple[str, ...]
    updated: Stretch


def address(query: Query) -> Address:
    """What every match's address has to meet."""
    ids: frozenset[str] | None = None
    compartments: list[str] = []
    low, high = BEGINNING, END
    for condition in query.conditions():
        match condition:
            case IdIn(asked, False):
                ids = asked if ids is None else ids & asked
            case InCompartment(compartment):
                compartments.append(compartment)
                focus, _, id = compartment.partition("/")
                if focus == query.type and focus not in defined(query.type):
                    # No reference leads there: only the focus itself lies in its own compartment.
                    ids = frozenset({id}) if ids is None else ids & {id}
            case Updated(any_of):
                within = [_within(each) for each in any_of]
                low = max(low, min((each.low for each in within), default=END))
                high = min(high, max((each.high for each in within), default=BEGINNING))
            case _:
                pass
    return Address(ids, tuple(dict.fromkeys(compartments)), Stretch(low, high))


def _within(asked: DateIs) -> Stretch:
    """Where an instant, written to the millisecond, has to begin."""
    about = asked.about()
    return {
        "eq": Stretch(asked.low, asked.high),
        "gt": Stretch(asked.high - _MILLISECOND, END),
        "ge": Stretch(asked.low - _MILLISECOND, END),
        "sa": Stretch(asked.high, END),
        "lt": Stretch(BEGINNING, asked.low),
        "le": Stretch(BEGINNING, asked.high),
        "eb": Stretch(BEGINNING, asked.low),
        "ap": Stretch(about.low - _MILLISECOND, about.high),
    }.get(asked.prefix, Stretch(BEGINNING, END))
