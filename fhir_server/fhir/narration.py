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
_NUMBERS = (int, Decimal)
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
    """What stands for people first: most elements hold one text, some objects and arrays further down."""
    while not isinstance(value, str):
        if isinstance(value, dict):
            shown = value.get("text") or value.get("display") or value.get("coding") or value.get("reference")
            if shown is None:
                return _said_of(value, depth) if depth else ""
            value = shown
        elif isinstance(value, list):
            if len(value) != 1:
                return _listed(value, depth)
            value = value[0]
        elif isinstance(value, bool):
            return "yes" if value else "no"
        else:
            return str(value) if isinstance(value, _NUMBERS) else ""
    return value if len(value) <= _MOST_CHARACTERS else f"{value[:_MOST_CHARACTERS]}…"


def _listed(members: list[Any], depth: int) -> str:
    said = [each for member in members[:_MOST_MEMBERS] if (each := _said(member, depth))]
    return ", ".join(said) + (" …" if len(members) > _MOST_MEMBERS else "")


def _said_of(node: Json, depth: int) -> str:
    """The forms of the common data types; else every part by its name."""
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
    text = text if text.isprintable() else _NOT_XML.sub("\ufffd", text)
    return escape(text, quote=False) if "&" in text or "<" in text or ">" in text else text
