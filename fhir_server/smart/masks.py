"""Step: elements that a role does not see are taken out, after every other step has looked at the whole.

Architecture section 2: a masked copy is tagged SUBSETTED; a role searches only by elements that it may see, for a
search on a masked element is an oracle. GDPR Art. 5(1)(c).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from fhir_server.engine.call import Call
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.fhir.definitions import compartments
from fhir_server.fhir.subset import element_of, masked
from fhir_server.search.registry import STANDARD, Registry
from fhir_server.search.tree import (
    AnyOf,
    Condition,
    Has,
    IdIn,
    InCompartment,
    Listed,
    Query,
    Updated,
)
from fhir_server.smart.deeds import deed_of
from fhir_server.smart.place import Place
from fhir_server.smart.reaching import reached
from fhir_server.smart.rights import rights_of
from fhir_server.smart.roles import Rule

_ANY = "*"
"""Stands for an element that cannot be told: no masking rule shows it."""


class Masks(Step):
    """Comes after the steps that decide: they have known the ties, and they need the whole resource."""

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        rights = rights_of(call.principal)
        right = rights.on(deed_of(call), stored.key.type)
        if right is None:
            return None
        if right.whole or stored.deleted or not any(each.rule.masks for each in right.rules):
            return stored
        granted = reached(rights, right, Place.of_stored(stored), call.trace.ties)
        return seen_by(granted.rule, stored) if granted else None


def seen_by(rule: Rule, stored: Stored) -> Stored:
    """The version as the rule shows it; itself where nothing is hidden."""
    if not rule.masks:
        return stored
    shown = masked(stored.resource, rule.shows, rule.inside)
    if shown is stored.resource:
        return stored
    return replace(stored.showing(shown), masked_from=stored)


def hides(rule: Rule, query: Query) -> str | None:
    """A parameter by which the query would ask about what the rule does not show; None where there is none."""
    if not rule.masks:
        return None
    for code in _codes(query):
        # R4's own parameters read no more of an element than roles show of it; a clinic's own may read any part.
        own = code not in STANDARD.of(query.type).by_code
        for element in _read_by(query.registry, query.type, code):
            if not rule.shows(element) or (own and rule.inside(element)):
                return code
    return None


def _codes(query: Query) -> Iterator[str]:
    for each in query.filters:
        yield from _asked(query.type, (each.condition,))
    for sort in query.sort:
        yield sort.by


def _asked(type: str, conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        match condition:
            case AnyOf():
                for option in condition.options:
                    yield from _asked(type, option)
            case InCompartment():
                yield from compartments(type).get(condition.compartment.partition("/")[0], ())
            case IdIn() | Updated() | Has() | Listed():
                pass  # the address says it, or resources of another type, which are searched by what is seen of them
            case _:
                yield condition.parameter


@lru_cache(maxsize=4096)
def _read_by(registry: Registry, type: str, code: str) -> frozenset[str]:
    """The elements where its values lie. What is answered from the address lies in none."""
    parameter = registry.of(type).by_code.get(code)
    if parameter is None:
        return frozenset({_ANY})
    found = {element_of(type, source.property) if source.property else _ANY for source in parameter.sources}
    return frozenset(found) - {"id", "meta", "implicitRules"}
