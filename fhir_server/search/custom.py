"""A clinic's own search parameters: from a SearchParameter resource to what R4's own definitions are kept as.

https://hl7.org/fhir/R4/searchparameter.html
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhir_server.fhir.definitions import SearchParameter, search_parameters, served_types
from fhir_server.fhir.fhirpath import PathError, compile_path
from fhir_server.kernel.json import Json
from fhir_server.search.kinds import KINDS
from fhir_server.search.shipped import shipped
from fhir_server.search.sources import readable

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9\-_]{0,63}", re.ASCII)
_SIMPLE = frozenset({"string", "token", "date", "number", "quantity", "reference", "uri"})
MOST = 200
"""How many of them take part; each costs something at every write."""

_MOST_CHARACTERS = 1_000
"""Of an expression: whoever may store a SearchParameter decides on the work of every write and on the start."""

_ANY = frozenset({"Resource", "DomainResource"})

Definitions = Mapping[str, Mapping[str, SearchParameter]]
"""Type -> code -> parameter."""


class NotTakenError(ValueError):
    """Why a SearchParameter cannot take part, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Taken:
    """`definitions` of the resources that take part; `problems` of those that do not, by id."""

    definitions: Definitions
    problems: Mapping[str, str]


def taken(resources: Iterable[Json]) -> Taken:
    """In the order of their ids, so that of two that claim the same code the same one wins everywhere."""
    found: dict[str, dict[str, SearchParameter]] = {}
    problems: dict[str, str] = {}
    for resource in sorted(resources, key=lambda each: str(each["id"])):
        try:
            definition, types = _definition(resource)
            for type in types:
                _require_usable(type, definition, found.get(type, {}))
        except NotTakenError as why:
            problems[str(resource["id"])] = str(why)
            continue
        for type in types:
            found.setdefault(type, {})[definition.code] = definition
    return Taken(found, problems)


def _definition(resource: Json) -> tuple[SearchParameter, list[str]]:
    code, kind, expression = resource.get("code"), resource.get("type"), resource.get("expression")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise NotTakenError("its code is no name for a parameter: letters, digits, - and _, a letter first")
    if kind not in _SIMPLE:
        raise NotTakenError("only simple parameters take part, none of type composite or special")
    if not isinstance(expression, str):
        raise NotTakenError("it has no expression")
    if len(expression) > _MOST_CHARACTERS:
        raise NotTakenError(f"its expression is longer than {_MOST_CHARACTERS} characters")
    types = [type for type in resource.get("base", []) if type in served_types()]
    if not types or set(resource.get("base", [])) & _ANY:
        raise NotTakenError("its base names no type that is served here")
    targets = frozenset(resource.get("target", [])) & served_types()
    if kind == "reference" and not targets:
        raise NotTakenError("it is a reference without a target")
    return SearchParameter(code, kind, expression, targets), types


def _require_usable(type: str, definition: SearchParameter, own: Mapping[str, SearchParameter]) -> None:
    if definition.code in search_parameters(type).keys() | shipped(type).keys() | own.keys():
        raise NotTakenError(f"{type} has a parameter {definition.code} already")
    try:
        lanes = readable(KINDS[definition.kind], compile_path(definition.expression, type))
    except PathError as error:
        raise NotTakenError(f"its expression is not understood: {error}") from None
    if not lanes:
        raise NotTakenError(f"its expression leads to nothing in a {type} that is searched as {definition.kind}")
