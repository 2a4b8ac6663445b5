"""A clinic's own search parameters: from a SearchParameter resource to what R4's own definitions are kept as.

https://hl7.org/fhir/R4/searchparameter.html
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fhir_server.fhir.definitions import SearchParameter, search_parameters, served_types
from fhir_server.fhir.fhirpath import PathError, compile_path
from fhir_server.kernel.json import Json
from fhir_server.search.composed import SIMPLE, NotTakenError, Urls, components_of, composed, expression_of
from fhir_server.search.kinds import KINDS
from fhir_server.search.shipped import resources as resources_shipped
from fhir_server.search.shipped import shipped
from fhir_server.search.sources import readable

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9\-_]{0,63}", re.ASCII)
MOST = 200
"""How many of them take part; each costs something at every write."""

_ANY = frozenset({"Resource", "DomainResource"})

Definitions = Mapping[str, Mapping[str, SearchParameter]]
"""Type -> code -> parameter."""


@dataclass(frozen=True, slots=True)
class Taken:
    """`definitions` of the resources that take part; `problems` of those that do not, by id."""

    definitions: Definitions
    problems: Mapping[str, str]


def taken(resources: Iterable[Json]) -> Taken:
    """In the order of their ids, so that of two that claim the same code the same one wins everywhere.

    Composites come last: their components may be among the others.
    """
    found: dict[str, dict[str, SearchParameter]] = {}
    problems: dict[str, str] = {}
    urls = dict(_urls_of_shipped())
    for resource in sorted(resources, key=lambda each: (each.get("type") == "composite", str(each["id"]))):
        try:
            definitions = _definitions(resource, found, urls)
        except NotTakenError as why:
            problems[str(resource["id"])] = str(why)
            continue
        for type, definition in definitions.items():
            found.setdefault(type, {})[definition.code] = definition
            urls.setdefault((type, str(resource.get("url"))), definition.code)
    return Taken(found, problems)


def ill_formed(resource: Json) -> NotTakenError | None:
    """What is wrong with an active composite, whichever other parameters there are; None where nothing is."""
    if resource.get("status") != "active" or resource.get("type") != "composite":
        return None
    try:
        for type in _served(resource):
            components_of(resource, type)
    except NotTakenError as why:
        return why
    return None


def _definitions(resource: Json, found: Definitions, urls: Urls) -> Mapping[str, SearchParameter]:
    """By type. Raises NotTakenError."""
    code, kind = resource.get("code"), resource.get("type")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise NotTakenError("its code is no name for a parameter: letters, digits, - and _, a letter first")
    if kind != "composite" and kind not in SIMPLE:
        raise NotTakenError("parameters of type special do not take part")
    expression = expression_of(resource, "SearchParameter")
    types = _served(resource)
    if not types or set(resource.get("base", [])) & _ANY:
        raise NotTakenError("its base names no type that is served here")
    targets = frozenset(resource.get("target", [])) & served_types()
    if kind == "reference" and not targets:
        raise NotTakenError("it is a reference without a target")
    result = {}
    for type in types:
        known = {**search_parameters(type), **shipped(type), **found.get(type, {})}
        if code in known:
            raise NotTakenError(f"{type} has a parameter {code} already")
        if kind == "composite":
            result[type] = composed(code, resource, type, known, urls)
        else:
            result[type] = SearchParameter(code, kind, expression, targets)
            _require_usable(type, result[type])
    return result


def _served(resource: Json) -> list[str]:
    return [type for type in resource.get("base", []) if type in served_types()]


def _urls_of_shipped() -> Iterator[tuple[tuple[str, str], str]]:
    for one in resources_shipped():
        for type in one["base"]:
            yield (type, one["url"]), one["code"]


def _require_usable(type: str, definition: SearchParameter) -> None:
    try:
        lanes = readable(KINDS[definition.kind], compile_path(definition.expression, type))
    except PathError as error:
        raise NotTakenError(f"its expression is not understood: {error}") from None
    if not lanes:
        raise NotTakenError(f"its expression leads to nothing in a {type} that is searched as {definition.kind}")
