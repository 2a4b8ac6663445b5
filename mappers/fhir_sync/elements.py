"""What of a resource is compared: its elements, each with what belongs to it, and a digest that says whether it moved.

https://hl7.org/fhir/R4/json.html#primitive: `_birthDate` is a part of `birthDate`; https://hl7.org/fhir/R4/formats.html#choice:
all forms of a choice are one element. Narrative, meta but for its security labels, and id are each server's own.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from mappers.mapping.identifiers import OURS
from mappers.mapping.json_text import Json

COPY_OF = f"{OURS}:copy-of"
"""System of the identifier by which a copy names what it is a copy of: that one's URL."""

SECURITY = "security"
_SHARED = ("extension", "identifier")
_APART = frozenset({"resourceType", "id", "meta", "text"})
_EMPTY: tuple[object, ...] = (None, [], {}, "")
_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted")


def elements(resource: Json, choices: Sequence[str]) -> dict[str, Json]:
    """Name -> all that belongs to it. What this project itself wrote into it is not the other side's affair."""
    found: dict[str, Json] = {}
    for name, value in resource.items():
        if name in _APART:
            continue
        kept = _others(name, value)
        if kept not in _EMPTY:
            found.setdefault(_element(name, choices), {})[name] = kept
    if labels := resource.get("meta", {}).get(SECURITY):
        found[SECURITY] = {SECURITY: labels}
    return found


def placed(resource: Json, moved: Mapping[str, Json | None], choices: Sequence[str]) -> Json:
    """With these elements instead of those that it had; what this project wrote into it, and its meta, stay."""
    kept = {name: value for name, value in resource.items() if _element(name, choices) not in moved}
    if kept.get("text", {}).get("status") != "additional":
        kept.pop("text", None)  # it told of what was there before
    for element in moved.values():
        kept |= element or {}
    for name, items in _internal(resource).items():
        if name in moved:
            kept[name] = [*kept.get(name, ()), *items]
    if labels := kept.pop(SECURITY, None):
        kept["meta"] = {**resource.get("meta", {}), SECURITY: labels}
    return kept


def digest(value: object) -> str:
    return sha256(_sorted.encode(value)).hexdigest()[:32]


def digests(found: Mapping[str, Json], joined: Sequence[str] = ()) -> dict[str, str]:
    """Of each element, and of each item of those that are joined."""
    said = {name: digest(value) for name, value in found.items()}
    items = (f"{name}#{digest(item)}" for name in joined for item in found.get(name, {}).get(name, ()))
    return {**said, **dict.fromkeys(items, "")}


def origins(resource: Json) -> tuple[str, ...]:
    """URLs of what it is a copy of, from the first on."""
    return tuple(str(one.get("value")) for one in resource.get("identifier", ()) if one.get("system") == COPY_OF)


def _internal(resource: Json) -> Json:
    """What `elements` leaves out of lists that the other side fills as well."""
    found = {name: [one for one in resource.get(name, ()) if _is_internal(name, one)] for name in _SHARED}
    return {name: items for name, items in found.items() if items}


def _others(name: str, value: object) -> object:
    if name in _SHARED and isinstance(value, list):
        return [one for one in value if not _is_internal(name, one)]
    return value


def _is_internal(name: str, item: Json) -> bool:
    if name == "extension":
        return str(item.get("url", "")).startswith(OURS)
    return bool(item.get("system") == COPY_OF)


def _element(name: str, choices: Sequence[str]) -> str:
    plain = name.removeprefix("_")
    return next((one for one in choices if plain.startswith(one) and plain[len(one) :][:1].isupper()), plain)
