"""What a role that sees or changes a part of a resource writes: that part is theirs, the rest stays as it was.

Architecture section 2: what a role does not see is not lost when it writes; GDPR Art. 5(1)(d), 5(1)(f).
"""

from collections.abc import Iterable, Iterator

from fhir_server.fhir.narration import is_narrated
from fhir_server.fhir.subset import element_of, hidden
from fhir_server.kernel.errors import ForbiddenError
from fhir_server.kernel.json import Json
from fhir_server.smart.roles import Rule

_GIVEN = frozenset({"resourceType", "id", "meta"})
_NEVER_LEFT_OUT = frozenset({"implicitRules", "modifierExtension"})
"""Shown to everybody, since they can turn the meaning of the rest round; and for that reason not a part's to change."""


def whole_of(rule: Rule, resource: Json, previous: Json | None) -> Json:
    """The version that comes of a part, put together with what the caller does not see.

    Raises ForbiddenError for an element that they may not see, or not change.
    """
    type, before, after = str(resource.get("resourceType")), _as_written(previous or {}), _as_written(resource)
    if rule.masks:
        _refuse("write", type, _unseen(rule, type, before, after))
        carried = {*hidden(before, rule.shows), *_NEVER_LEFT_OUT}
        after |= {name: value for name, value in before.items() if name in carried and name not in after}
    if rule.changes and previous is not None:
        _refuse("change", type, (n for n in _differing(before, after) if element_of(type, n) not in rule.changes))
    if previous is not None:
        # Labels and tags say who may see it: they are not a part's to change.
        after = {**{name: value for name, value in after.items() if name != "meta"}, "meta": before.get("meta", {})}
    return after


def _as_written(resource: Json) -> Json:
    """Without the server's own narrative, which is written anew with every version."""
    return {name: value for name, value in resource.items() if name != "text" or not is_narrated(resource)}


def _unseen(rule: Rule, type: str, before: Json, after: Json) -> Iterator[str]:
    for name, value in after.items():
        if name in _NEVER_LEFT_OUT:
            if value != before.get(name):
                yield name
        elif name not in _GIVEN and not rule.shows(element_of(type, name)):
            yield name


def _differing(before: Json, after: Json) -> Iterator[str]:
    return (name for name in {**before, **after} if name not in _GIVEN and before.get(name) != after.get(name))


def _refuse(verb: str, type: str, names: Iterable[str]) -> None:
    if elements := sorted({element_of(type, name) for name in names}):
        raise ForbiddenError(f"Your role does not {verb} these elements of {type}: {', '.join(elements)}.")
