"""Parameters that other resources decide: chains, `_has`, hierarchies, lists.

https://hl7.org/fhir/R4/search.html#chaining, #has, #list
"""

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.kernel.identity import is_id, parse_reference
from fhir_server.search.hierarchies import hierarchies
from fhir_server.search.language import Language
from fhir_server.search.parameters import Parameter
from fhir_server.search.registry import Registry
from fhir_server.search.results import UnknownParameterError, not_supported, shown
from fhir_server.search.tree import Chain, Condition, Has, Lineage, Listed

HAS = "_has"
LIST = "_list"
_MOST_TYPES = 16
_PARTS_OF_HAS = 4

Within: TypeAlias = Callable[[str, str, str, Language, int], Condition | None]
"""Understands one parameter of a type: name, value, language, and how deep in a chain it stands."""


def is_link(written: str) -> bool:
    return "." in written or written.partition(":")[0] in {HAS, LIST}


def link(type_name: str, written: str, value: str, language: Language, depth: int, within: Within) -> Condition | None:
    """None for an empty value. Raises UnknownParameterError where a name on the way is none."""
    if depth >= language.chain_depth and written != LIST:
        raise TooCostlyError(f"A chain leads through at most {language.chain_depth} resources.")
    if written == LIST:
        return _listed(value)
    if written.startswith(f"{HAS}:"):
        return _has(type_name, written, value, language, depth, within)
    if written.partition(":")[0] in {HAS, LIST}:
        raise not_supported("It is written _has:Type:parameter:name, and _list without a modifier.")
    return _chain(type_name, written, value, language, depth, within)


def _chain(
    type_name: str, written: str, value: str, language: Language, depth: int, within: Within
) -> Condition | None:
    start, _, rest = written.partition(".")
    code, _, named = start.partition(":")
    parameter = reference(type_name, code, language.registry)
    if named and named not in parameter.definition.targets & served_types():
        raise not_supported(f"{code} refers to no {shown(named)} here. It refers to: {_listing(targets(parameter))}.")
    hops: list[tuple[str, Condition]] = []
    unknown: UnknownParameterError | None = None
    for target in [named] if named else targets(parameter):
        try:
            found = within(target, rest, value, language, depth + 1)
        except UnknownParameterError as error:
            unknown = error
            continue
        if found is None:
            return None
        hops.append((target, found))
    if not hops:
        raise unknown or not_supported(f"{code} refers to nothing that is served here.")
    if len(hops) > _MOST_TYPES:
        raise TooCostlyError(f"{code} may refer to {len(hops)} types; name the one that is meant: {code}:Type.name.")
    return Chain(code, tuple(hops), named=bool(named))


def _has(type_name: str, written: str, value: str, language: Language, depth: int, within: Within) -> Condition | None:
    parts = written.split(":", _PARTS_OF_HAS - 1)
    if len(parts) < _PARTS_OF_HAS or not all(parts):
        raise not_supported("_has is written _has:Type:parameter:name, the parameter being one that refers here.")
    _, other, code, rest = parts
    if other not in served_types():
        raise UnknownParameterError(f"_has names {shown(other)}, which is no type that is served here.")
    parameter = reference(other, code, language.registry)
    if type_name not in parameter.definition.targets:
        known = [
            each for each, one in language.registry.of(other).by_code.items() if type_name in one.definition.targets
        ]
        raise UnknownParameterError(f"{other}.{code} does not refer to a {type_name}. What does: {_listing(known)}.")
    found = within(other, rest, value, language, depth + 1)
    return None if found is None else Has(other, code, found)


def _listed(value: str) -> Condition | None:
    lists = tuple(dict.fromkeys(each for each in value.split(",") if each))
    if not all(map(is_id, lists)):
        raise InvalidRequestError("The value of _list is the id of a List. Lists that a server computes are not there.")
    return Listed(lists) if lists else None


def lineage(parameter: Parameter, side: Literal["above", "below"], value: str) -> Lineage:
    """`:above` and `:below` of a reference whose target lies in a hierarchy."""
    key = parse_reference(value)
    types = hierarchies(parameter.definition.targets)
    if is_id(value) and types:
        return Lineage(parameter.definition.code, side, types, value)
    if key is None or key.type not in types:
        raise InvalidRequestError(
            f"A value of {parameter.definition.code}:{side} is the id of a {' or '.join(types)}, perhaps with its type."
        )
    return Lineage(parameter.definition.code, side, (key.type,), key.id)


def reference(type_name: str, code: str, registry: Registry) -> Parameter:
    """Raises UnknownParameterError for what is no reference."""
    by_code = registry.of(type_name).by_code
    parameter = by_code.get(code)
    if parameter is None or parameter.kind.name != "reference":
        known = [each for each, one in by_code.items() if one.kind.name == "reference"]
        raise UnknownParameterError(f"{type_name} has no reference {shown(code)}. It has: {_listing(known)}.")
    return parameter


def targets(parameter: Parameter) -> list[str]:
    return sorted(parameter.definition.targets & served_types())


def _listing(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
