"""JSON Pointer: reads one, follows it, and changes a document there without touching the original.

RFC 6901
"""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from fhir_server.engine.patch.limits import Effort, PatchError
from fhir_server.kernel.json import MOST_DEPTH

Pointer: TypeAlias = tuple[str, ...]
Change: TypeAlias = Callable[[Any], Any]
"""An object or array -> what takes its place."""

END = "-"
"""The place after the last of an array."""

_MOST_CHARACTERS = 2_000
_BAD_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_NOTHING = "there is nothing where it points."


def parse(text: object) -> Pointer:
    """Raises ValueError for what is no pointer, or goes deeper than any resource."""
    if (
        not isinstance(text, str)
        or len(text) > _MOST_CHARACTERS
        or (text and text[0] != "/")
        or _BAD_ESCAPE.search(text)
    ):
        raise ValueError("no JSON Pointer")
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])
    if len(steps) > MOST_DEPTH:
        raise ValueError("too deep")
    return steps


def index(step: str, most: int) -> int:
    """An index of an array, at most `most`. Raises PatchError."""
    found = int(step) if _INDEX.fullmatch(step) else None
    if found is None or found > most:
        raise PatchError(_NOTHING)
    return found


def member(node: object, step: str) -> str | int:
    """The key or index of a member that is there. Raises PatchError."""
    if isinstance(node, list):
        return index(step, len(node) - 1)
    if isinstance(node, dict) and step in node:
        return step
    raise PatchError(_NOTHING)


def follow(document: Any, pointer: Pointer) -> Any:  # noqa: ANN401  JSON is any value
    for step in pointer:
        document = document[member(document, step)]
    return document


def changed(document: Any, pointer: Pointer, change: Change, effort: Effort) -> Any:  # noqa: ANN401  JSON is any value
    """The document with `change` applied to what the pointer leads to; only what lies on the way is copied."""
    if not pointer:
        return change(document)
    key = member(document, pointer[0])
    copy = shallow(document, effort)
    copy[key] = changed(document[key], pointer[1:], change, effort)
    return copy


def shallow(node: Any, effort: Effort) -> Any:  # noqa: ANN401  JSON is any value
    """A copy of an object or array that shares its members."""
    effort.spend(len(node))
    return node.copy()
