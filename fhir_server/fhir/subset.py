"""A part of a resource: what `_elements` and `_summary` ask for, marked so that nobody takes it for the whole.

https://hl7.org/fhir/R4/search.html#summary, #elements
"""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from fhir_server.fhir.data import read
from fhir_server.fhir.elements import CHOICE, children
from fhir_server.fhir.narration import is_narrated
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json

SummaryMode: TypeAlias = Literal["true", "text", "data", "false"]

_TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = frozenset({"resourceType", "id", "meta"})
_MODIFIERS = frozenset({"modifierExtension", "implicitRules"})
"""They can turn the meaning of all the rest round."""

_WHOLE = ""
_Plan: TypeAlias = Mapping[str, str]
"""JSON property that stays -> the type that its value is summarised as, or _WHOLE."""


def elements_of(resource: Json, names: frozenset[str]) -> Json:
    """The named top-level elements (`value` for `valueQuantity`), the mandatory ones, and what is never left out."""
    kept = _mandatory(str(resource.get("resourceType"))) | _MODIFIERS | names
    of = _names(str(resource.get("resourceType")))
    return _marked({name: value for name, value in resource.items() if name in _ALWAYS or of.get(name) in kept})


def summary(resource: Json, mode: SummaryMode) -> Json:
    """As `_summary` has it. `false` is the whole resource, unmarked; `count` gives no resources at all."""
    match mode:
        case "true":
            return _marked(_summarised(resource, str(resource.get("resourceType"))))
        case "text":
            return elements_of(resource, frozenset({"text"}))
        case "data":
            return _marked({name: value for name, value in resource.items() if name != "text"})
        case "false":
            return resource


def hidden(resource: Json, shows: Callable[[str], bool]) -> frozenset[str]:
    """The JSON properties that are taken away where `shows` allows some elements only.

    Contained resources and extensions are elements like others. Narrative says what others say: where one of these is
    hidden it goes too.
    """
    of = _names(str(resource.get("resourceType")))
    found = {
        name
        for name in resource
        if name not in _ALWAYS and (element := of.get(name, name)) not in _MODIFIERS and not shows(element)
    }
    return frozenset({*found, "text"} if found and "text" in resource else found)


def masked(resource: Json, shows: Callable[[str], bool], inside: Callable[[str], frozenset[str]]) -> Json:
    """What is left of it; the resource itself where nothing is taken away.

    `inside`: of an element that is shown in part, the children that are; empty for the whole. Not marked as a part
    where all that went is the server's own narrative, which is written anew with every version.
    """
    gone = hidden(resource, shows)
    left = {name: _cut(value, inside(name)) for name, value in resource.items() if name not in gone}
    if left == resource:
        return resource
    return left if gone == {"text"} and is_narrated(resource) else _marked(left)


def _cut(value: Any, shown: frozenset[str]) -> Any:  # noqa: ANN401  JSON is any value
    """Of an element, or of each that it repeats."""
    if isinstance(value, list) and shown:
        return [_cut(each, shown) for each in value]
    return {name: child for name, child in value.items() if name in shown} if shown else value


def unmarked(resource: Json) -> Json:
    """Without the mark that `masked` made."""
    meta = resource.get("meta", {})
    tags = [tag for tag in meta.get("tag", []) if not _is_mark(tag)]
    rest = {name: value for name, value in meta.items() if name != "tag"}
    return {**resource, "meta": {**rest, "tag": tags} if tags else rest}


def element_of(type_name: str, property_name: str) -> str:
    """`value` for `valueQuantity` and for `_valueString`; a name that the type does not have is itself."""
    return _names(type_name).get(property_name, property_name)


def refuse_subsetted(resource: Json) -> None:
    """422 for a body that says of itself that it is a part: stored, it would wipe out the rest."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    if isinstance(tags, list) and any(map(_is_mark, tags)):
        raise UnprocessableError(
            "The resource is tagged SUBSETTED, so it is a part of one; send all of it, without the tag.",
            expression=f"{resource.get('resourceType')}.meta.tag",
        )


def _marked(part: Json) -> Json:
    meta = part.get("meta", {})
    tags = meta.get("tag", [])
    if any(map(_is_mark, tags)):
        return part
    first: Json = {name: part[name] for name in ("resourceType", "id") if name in part}
    return {**first, "meta": {**meta, "tag": [*tags, dict(_TAG)]}, **{k: v for k, v in part.items() if k != "meta"}}


def _is_mark(tag: object) -> bool:
    return isinstance(tag, dict) and all(tag.get(name) == value for name, value in _TAG.items())


@cache
def _names(type_name: str) -> Mapping[str, str]:
    """JSON property -> element: `valueQuantity` and `_valueString` are of `value`."""
    return MappingProxyType(
        {
            f"{mark}{element.json_name}": name
            for name, elements in children(type_name).items()
            for element in elements
            for mark in ("", "_")
        }
    )


@cache
def _mandatory(type_name: str) -> frozenset[str]:
    return frozenset(name for name, each in _definitions(type_name).items() if "min" in each)


def _definitions(type_name: str) -> dict[str, Json]:
    """Element -> what is defined of it, here or in what the type is made from."""
    definition = read("types").get(type_name, {})
    own = {name.removesuffix(CHOICE): each for name, each in definition.get("elements", {}).items()}
    return {**(_definitions(definition["base"]) if "base" in definition else {}), **own}


@cache
def _plan(type_name: str) -> _Plan | None:
    """None for what has no summary: a primitive, a resource inside another, a type in which R4 marks nothing."""
    definitions = _definitions(type_name)
    marked = {name for name, each in definitions.items() if "summary" in each and name not in _MODIFIERS}
    if not marked or type_name == "Resource":
        return None
    kept: dict[str, str] = {}
    for name, elements in children(type_name).items():
        if name in marked or name in _MODIFIERS or "min" in definitions[name]:
            for element in elements:
                kept[element.json_name] = element.type if name in marked else _WHOLE
                kept[f"_{element.json_name}"] = _WHOLE
    return MappingProxyType(kept)


def _summarised(value: Any, type_name: str) -> Any:  # noqa: ANN401  JSON is any value
    """What would be left empty stays whole: a mandatory element may hold nothing but the reason why it is missing."""
    plan = _plan(type_name) if isinstance(value, dict) else None
    if plan is None:
        return value
    found = {name: _member(inner, plan[name]) for name, inner in value.items() if name in plan}
    if "resourceType" in value:
        return {"resourceType": value["resourceType"], **found}
    return found or value


def _member(value: Any, type_name: str) -> Any:  # noqa: ANN401  JSON is any value
    if not type_name:
        return value
    if isinstance(value, list):
        return [_summarised(each, type_name) for each in value]
    return _summarised(value, type_name)
