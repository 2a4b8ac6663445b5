"""`_include` and `_revinclude`: what comes with the matches, because they refer to it or it refers to them.

https://hl7.org/fhir/R4/search.html#include
"""

from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.links import reference, targets
from fhir_server.search.parameters import Parameter
from fhir_server.search.registry import Registry
from fhir_server.search.results import not_supported, shown
from fhir_server.search.tree import Include

NAMES = frozenset({"_include", "_revinclude"})
ANY = "*"
_MOST_PARTS = 3


def is_include(name: str) -> bool:
    return name.partition(":")[0] in NAMES


def include(types: frozenset[str], name: str, value: str, registry: Registry) -> Include:
    """`Source:parameter`, `Source:parameter:Target`, `Source:*` or `*`. `types`: those of the matches.

    Raises InvalidRequestError for what cannot bring anything.
    """
    code, separator, modifier = name.partition(":")
    if separator and modifier != "iterate":
        raise not_supported(f"{code} does not support the modifier {shown(modifier)}. It has: iterate.")
    found = _parsed(code, value, registry, reverse=code == "_revinclude", iterate=bool(separator))
    if not found.iterate:
        _require_effect(found, types, code, registry)
    return found


def _parsed(code: str, value: str, registry: Registry, *, reverse: bool, iterate: bool) -> Include:
    parts = value.split(":")
    if value == ANY:
        return Include("", "", "", reverse, iterate)
    if len(parts) not in {2, _MOST_PARTS} or not all(parts):
        raise InvalidRequestError(f"A value of {code} is Source:parameter, Source:parameter:Target, Source:* or *.")
    source, name, target = [*parts, ""][:_MOST_PARTS]
    if source not in served_types():
        raise InvalidRequestError(f"{code} names {shown(source)}, which is no type that is served here.")
    if target and target not in served_types():
        raise InvalidRequestError(f"{code} names {shown(target)}, which is no type that is served here.")
    if name == ANY:
        return Include(source, "", target, reverse, iterate)
    parameter = reference(source, name, registry)
    if target and target not in parameter.definition.targets:
        raise InvalidRequestError(
            f"{source}.{name} refers to no {target}. It refers to: {', '.join(targets(parameter)) or 'none'}."
        )
    return Include(source, name, target, reverse, iterate)


def _require_effect(found: Include, types: frozenset[str], code: str, registry: Registry) -> None:
    """What could never bring anything was meant otherwise."""
    if not found.reverse and found.source and found.source not in types:
        raise InvalidRequestError(
            f"{code} goes from a match, and a {found.source} is none here; {code}:iterate goes from what is included."
        )
    if (
        found.reverse
        and found.parameter
        and not (types & reference(found.source, found.parameter, registry).definition.targets)
    ):
        raise InvalidRequestError(f"{found.source}.{found.parameter} refers to none of the types that are searched.")


def references(type_name: str, registry: Registry) -> tuple[Parameter, ...]:
    """The references of a type that stand for themselves in the index: they find what those they serve find."""
    return tuple(
        each
        for code, each in sorted(registry.of(type_name).by_code.items())
        if each.kind.name == "reference" and each.indexed_as == (code,)
    )
