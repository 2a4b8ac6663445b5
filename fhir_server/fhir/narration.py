"""A narrative for a resource that has none: what its elements say, in their order, for whoever reads without software.

https://hl7.org/fhir/R4/narrative.html (status `generated`); requirement T54: records are clear.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from html import escape
from typing import Any

from fhir_server.kernel.json import Json

OPENING = '<div xmlns="http://www.w3.org/1999/xhtml" class="written-by-the-server">'
"""By it the server knows a narrative of its own, also when a client sends it back: that is written anew."""

_NOT_TOLD = frozenset(
    {
        *("resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "extension"),
        *("modifierExtension", "identifier", "photo", "data", "url", "hash", "size", "contentType", "system", "use"),
    }
)
_MOST_MEMBERS, _MOST_CHARACTERS, _MOST_DEPTH = 5, 200, 2
_MOST_IN_ALL = 2_000
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def is_narrated(resource: Json) -> bool:
    """Is its text the server's own?"""
    text = resource.get("text") or {}
    return text.get("status") == "generated" and str(text.get("div")).startswith(OPENING)


def with_narrative(resource: Json) -> Json:
    """The same resource where a client wrote its text; else with one that says what the rest of it says now."""
    if "text" in resource and not is_narrated(resource):
        return resource
    lines = [f"<b>{resource['resourceType']}</b>"]
    room = _MOST_IN_ALL
    for name, said in _told(resource, _MOST_DEPTH):
        line = f"{_label(name)}: {_escaped(said)}"
        room -= len(line)
        if room < 0:
            lines.append("…")
            break
        lines.append(line)
    return {**resource, "text": {"status": "generated", "div": f"{OPENING}{'<br/>'.join(lines)}</div>"}}


def _told(node: Json, depth: int) -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        if name not in _NOT_TOLD and name[0] != "_" and (said := _said(value, depth)):
            yield name, said


def _said(value: Any, depth: int) -> str:  # noqa: ANN401  JSON is any value
    if isinstance(value, str):
        return value if len(value) <= _MOST_CHARACTERS else f"{value[:_MOST_CHARACTERS]}…"
    if isinstance(value, dict):
        return _said_of(value, depth)
    if isinstance(value, list):
        if len(value) == 1:
            return _said(value[0], depth)
        said = [each for member in value[:_MOST_MEMBERS] if (each := _said(member, depth))]
        return ", ".join(said) + (" …" if len(value) > _MOST_MEMBERS else "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | Decimal) else ""


def _said_of(node: Json, depth: int) -> str:
    """What stands for people first; then the forms of the common data types; then every part by its name."""
    found = node.get("text") or node.get("display") or node.get("coding") or node.get("reference")
    if found is not None:
        return _said(found, depth)
    if not depth:
        return ""
    for known, names in _FORMS:
        if known in node:
            return " ".join(each for name in names if name in node and (each := _said(node[name], depth - 1)))
    if "start" in node or "end" in node:
        return f"{node.get('start', '')} \u2013 {node.get('end', '')}"
    if "code" in node and node.keys() <= _CODING:
        return _said(node["code"], depth)
    return "; ".join(f"{_label(name)}: {said}" for name, said in _told(node, depth - 1))


_FORMS = (
    ("family", ("prefix", "given", "family", "suffix")),
    ("value", ("comparator", "value", "unit")),
    ("city", ("line", "postalCode", "city", "country")),
)
_CODING = frozenset({"system", "code", "version", "userSelected"})


@lru_cache(maxsize=4096)
def _label(name: str) -> str:
    """`effectiveDateTime` as `Effective date time`."""
    return _WORDS.sub(" ", name).capitalize()


def _escaped(text: str) -> str:
    return escape(text if text.isprintable() else _NOT_XML.sub("\ufffd", text), quote=False)
