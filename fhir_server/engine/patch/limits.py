"""What a patch may cost and what may come out of it.

https://hl7.org/fhir/R4/http.html#patch: a patch changes neither what the resource is nor its version.
"""

from typing import Any

from fhir_server.kernel.errors import TooCostlyError, TooLargeError, UnprocessableError
from fhir_server.kernel.json import MOST_DEPTH, Json

MOST_OPERATIONS = 1_000
MOST_EFFORT = 5_000_000
"""How many members all operations of a JSON Patch may copy, together: well under a second."""
MOST_COPIED = 1_000_000
"""About how many characters of JSON all its `copy` operations may add: copies of copies double each time."""

_FIXED = (("resourceType",), ("id",), ("meta", "versionId"), ("meta", "lastUpdated"))


class PatchError(Exception):
    """An operation does not fit the resource. Says why and quotes neither of them."""


class Effort:
    """What is left of the work that one patch may cause, and of what it may grow by copying."""

    __slots__ = ("_characters", "_members")

    def __init__(self, members: int = MOST_EFFORT, characters: int = MOST_COPIED) -> None:
        self._members, self._characters = members, characters

    def spend(self, members: int) -> None:
        self._members -= members
        if self._members < 0:
            raise TooCostlyError("The patch touches too much; send fewer operations, or the whole resource.")

    def grow(self, value: object) -> None:
        """Walks no further than what is left, however large the value is that copies have made."""
        rest = [value]
        while rest:
            item = rest.pop()
            self._characters -= _weight(item)
            if self._characters < 0:
                raise TooLargeError(f"The copies that a patch makes have at most {MOST_COPIED} characters together.")
            if isinstance(item, dict | list):
                rest.extend(item.values() if isinstance(item, dict) else item)


def _weight(item: object) -> int:
    """The characters of one value as JSON, those of its members left out."""
    if isinstance(item, dict):
        return 2 + sum(map(len, item)) + 4 * len(item)
    return 2 + (len(item) if isinstance(item, str | list) else 0)


def accepted(before: Json, after: object) -> Json:
    """What a patch made, if that is a resource of bearable depth and still the same one."""
    if not isinstance(after, dict):
        raise UnprocessableError("A patch leaves a resource, and a resource is an object.")
    _refuse_depth(after)
    for path in _FIXED:
        _refuse_change(before, after, path)
    return after


def _refuse_depth(value: Json) -> None:
    level: list[Any] = [value]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise UnprocessableError(f"What the patch makes nests deeper than {MOST_DEPTH} levels.")


def _refuse_change(before: Json, after: Json, path: tuple[str, ...]) -> None:
    """What the server gives may be left out, or stay; it may not be another."""
    old, new = _at(before, path), _at(after, path)
    if new != old and (new is not None or len(path) == 1):
        raise UnprocessableError("A patch changes no type, id, version or time of change.", expression=".".join(path))


def _at(value: object, path: tuple[str, ...]) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
