"""What a patch may cost and what may come out of it.

https://hl7.org/fhir/R4/http.html#patch: a patch changes neither what the resource is nor its version.
"""

from collections.abc import Iterator

from fhir_server.kernel.errors import TooCostlyError, TooLargeError, UnprocessableError
from fhir_server.kernel.json import MOST_DEPTH, Json

MOST_OPERATIONS = 1_000
MOST_EFFORT = 5_000_000
"""How many members all operations of a patch may copy and look at, together: a fraction of a second."""
MOST_BYTES = 32_000_000
"""About how long the outcome may be as JSON: as long as a body."""

_FIXED = (("resourceType",), ("id",), ("meta", "versionId"), ("meta", "lastUpdated"))


class PatchError(Exception):
    """An operation does not fit the resource. Says why and quotes neither of them."""


class Effort:
    """What is left of the work that one patch may cause."""

    __slots__ = ("_left",)

    def __init__(self, most: int = MOST_EFFORT) -> None:
        self._left = most

    def spend(self, members: int) -> None:
        self._left -= members
        if self._left < 0:
            raise TooCostlyError("The patch touches too much; send fewer operations, or the whole resource.")


def accepted(before: Json, after: object, most_bytes: int) -> Json:
    """What a patch made, if that is a resource of bearable size and still the same one."""
    if not isinstance(after, dict):
        raise UnprocessableError("A patch leaves a resource, and a resource is an object.")
    _refuse_overgrown(after, most_bytes)
    for path in _FIXED:
        _refuse_change(before, after, path)
    return after


def _refuse_overgrown(value: object, most_bytes: int) -> None:
    """Walks until the limit is reached and no further: copies of copies double with each operation."""
    left = most_bytes
    open_ones: list[Iterator[object]] = [iter((value,))]
    while open_ones:
        for item in open_ones[-1]:
            left -= _weight(item)
            if left < 0:
                raise TooLargeError(f"What the patch makes is longer than {most_bytes} bytes.")
            if isinstance(item, dict | list):
                open_ones.append(iter(item.values() if isinstance(item, dict) else item))
                break
        else:
            open_ones.pop()
        if len(open_ones) > MOST_DEPTH + 1:
            raise UnprocessableError(f"What the patch makes nests deeper than {MOST_DEPTH} levels.")


def _weight(item: object) -> int:
    """The characters of one value as JSON, those of its members left out."""
    if isinstance(item, dict):
        return 2 + sum(map(len, item)) + 4 * len(item)
    return 2 + (len(item) if isinstance(item, str | list) else 0)


def _refuse_change(before: Json, after: Json, path: tuple[str, ...]) -> None:
    """What the server gives may be left out, or stay; it may not be another."""
    old, new = _at(before, path), _at(after, path)
    if new != old and (new is not None or len(path) == 1):
        raise UnprocessableError("A patch changes no type, id, version or time of change.", expression=".".join(path))


def _at(value: object, path: tuple[str, ...]) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
