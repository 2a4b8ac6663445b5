"""Step: elements that a role does not see are taken out, after every other step has looked at the whole.

Architecture section 2: a masked copy is tagged SUBSETTED; a role searches only by elements that it may see, for a
search on a masked element is an oracle. GDPR Art. 5(1)(c).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from fhir_server.engine.call import Call
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored, truth
from fhir_server.fhir.subset import element_of, masked
from fhir_server.kernel.errors import ForbiddenError
from fhir_server.kernel.json import Json
from fhir_server.search.parameters import parameters_of
from fhir_server.search.tree import AnyOf, Condition, IdIn, InCompartment, Missing, Query, Updated, ValueIn
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
    shown = masked(stored.resource, rule.shows)
    if shown is stored.resource:
        return stored
    return replace(stored, truth=truth(stored.key, shown), whole=stored)


def kept(rule: Rule, resource: Json, previous: Json | None) -> Json:
    """What a caller who sees or changes a part writes: that part is theirs, the rest stays as it was.

    Raises ForbiddenError for an element that they may not see, or not change.
    """
    type, before = str(resource.get("resourceType")), previous or {}
    if rule.masks:
        _refuse(
            "write", type, [name for name in _differing(resource, {}) if not _shown(rule, type, name, resource, before)]
        )
        resource = {
            **resource,
            **{k: v for k, v in before.items() if k not in _GIVEN and not rule.shows(element_of(type, k))},
        }
    if rule.changes and previous is not None:
        _refuse("change", type, [n for n in _differing(resource, before) if element_of(type, n) not in rule.changes])
    if previous is not None and (rule.masks or rule.changes):
        # Labels and tags say who may see it: they are not a part's to change.
        resource = {**{k: v for k, v in resource.items() if k != "meta"}, "meta": before.get("meta", {})}
    return resource


_GIVEN = frozenset({"resourceType", "id", "meta"})
_NEVER_LEFT_OUT = frozenset({"implicitRules", "modifierExtension"})


def _differing(resource: Json, previous: Json) -> Iterator[str]:
    return (
        name for name in {**previous, **resource} if name not in _GIVEN and resource.get(name) != previous.get(name)
    )


def _shown(rule: Rule, type: str, name: str, resource: Json, previous: Json) -> bool:
    return rule.shows(element_of(type, name)) or (name in _NEVER_LEFT_OUT and resource[name] == previous.get(name))


def _refuse(verb: str, type: str, names: Iterable[str]) -> None:
    if elements := sorted({element_of(type, name) for name in names}):
        raise ForbiddenError(f"Your role does not {verb} these elements of {type}: {', '.join(elements)}.")


def hides(rule: Rule, query: Query) -> str | None:
    """A parameter by which the query would ask about what the rule does not show; None where there is none."""
    if not rule.masks:
        return None
    for code in _codes(query):
        if not all(rule.shows(element) for element in _read_by(query.type, code)):
            return code
    return None


def _codes(query: Query) -> Iterator[str]:
    for each in query.filters:
        yield from _asked((each.condition,))
    for sort in query.sort:
        yield sort.by


def _asked(conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        match condition:
            case ValueIn() | Missing():
                yield condition.parameter
            case AnyOf():
                for option in condition.options:
                    yield from _asked(option)
            case IdIn() | Updated() | InCompartment():
                pass


@lru_cache(maxsize=4096)
def _read_by(type: str, code: str) -> frozenset[str]:
    """The elements where its values lie. What is answered from the address lies in none."""
    parameter = parameters_of(type).by_code.get(code)
    if parameter is None:
        return frozenset({_ANY})
    found = {element_of(type, source.property) if source.property else _ANY for source in parameter.sources}
    return frozenset(found) - {"id", "meta", "implicitRules"}
