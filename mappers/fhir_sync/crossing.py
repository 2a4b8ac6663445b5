"""References as the other side has them: to the copy of what they name, else by identifier or words, else not at all.

https://hl7.org/fhir/R4/references.html. No reference that leads nowhere is written, and none to somebody else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mappers.mapping.json_text import Json

_WITHOUT_LINK = ("type", "identifier", "display")


def literal(reference: object, base: str) -> str | None:
    """`Type/id` of a resource of that server, without a version."""
    parts = str(reference).removeprefix(f"{base}/").split("/")
    is_one = len(parts) == 2 or (len(parts) == 4 and parts[2] == "_history")  # noqa: PLR2004  Type/id[/_history/version]
    return f"{parts[0]}/{parts[1]}" if is_one and parts[0].isalpha() and parts[0][:1].isupper() else None


def named(value: object, base: str) -> Iterator[str]:
    """All that it refers to on its own server."""
    if isinstance(value, dict):
        if (found := literal(value.get("reference", ""), base)) is not None:
            yield found
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from named(item, base)


@dataclass(slots=True)
class Crossing:
    """`known`: reference where it comes from -> where it goes. `lost`: paths of what did not get over."""

    base: str
    known: Mapping[str, str]
    lost: list[str] = field(default_factory=list)

    def over(self, element: Json) -> Json:
        found: Json = {}
        for name, value in element.items():
            kept = self._value(value, name)
            if kept is not None:
                found[name] = kept
        return found

    def _value(self, value: Any, path: str) -> Any:  # noqa: ANN401  JSON is any value
        if isinstance(value, list):
            kept = [self._item(item, path) for item in value]
            return [item for item in kept if item is not None] or None
        return self._object(value, path) if isinstance(value, dict) else value

    def _item(self, item: Any, path: str) -> Any:  # noqa: ANN401  as above
        """One of a list that loses what it is about says nothing any more."""
        before = len(self.lost)
        kept = self._value(item, path)
        return None if len(self.lost) > before and isinstance(item, dict) and _misses(item, kept) else kept

    def _object(self, value: Json, path: str) -> Json | None:
        if "reference" in value and not isinstance(value["reference"], dict | list):
            return self._reference(value, path)
        if "url" in value and "data" not in value and (literal(value["url"], self.base) or "").startswith("Binary/"):
            self.lost.append(path)
            return None
        found: Json = {}
        for name, child in value.items():
            kept = self._value(child, f"{path}.{name}")
            if kept is not None:
                found[name] = kept
        return found or None

    def _reference(self, value: Json, path: str) -> Json | None:
        if str(value["reference"]).startswith("#"):
            return value
        there = self.known.get(literal(value["reference"], self.base) or "")
        if there is not None:
            return {**value, "reference": there}
        self.lost.append(path)
        words = {name: value[name] for name in _WITHOUT_LINK if name in value}
        return words if words.keys() - {"type"} else None


def _misses(item: Json, kept: Json | None) -> bool:
    return kept is None or bool(item.keys() - kept.keys() - {"reference"})
