"""A decoded message that remembers which of its fields were taken: what was not, is lost, and is said to be.

So a loss report is complete without anybody having to think of it, also for fields that a vendor adds later.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mappers.mapping.faults import UnusableError
from mappers.mapping.result import Loss

NO_PLACE = "FHIR has no element for it that this mapper fills."
_MOST_LOSSES = 500
_MOST_TEXT = 65_536


class Source:
    """One object of the message. A field counts as taken once it was asked for as what it is."""

    __slots__ = ("_path", "_taken", "_value")

    def __init__(self, value: Mapping[str, Any], path: str = "", taken: set[str] | None = None) -> None:
        self._value, self._path = value, path
        self._taken: set[str] = set() if taken is None else taken

    def __bool__(self) -> bool:
        return bool(self._value)

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) not in (None, "", [], {})

    @property
    def value(self) -> dict[str, Any]:
        """As it came; to ask for it takes nothing."""
        return dict(self._value)

    def text(self, name: str) -> str | None:
        """A word, or a number as written. Blank is nothing."""
        value = self._value.get(name)
        if value is None or isinstance(value, bool | list | dict):
            return None
        self._taken.add(self._below(name))
        return str(value)[:_MOST_TEXT].strip() or None

    def need(self, name: str) -> str:
        found = self.text(name)
        if found is None:
            raise UnusableError(f"{self._below(name)} is missing.")
        return found

    def whole(self, name: str) -> int | None:
        value = self._value.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        self._taken.add(self._below(name))
        return value

    def flag(self, name: str) -> bool:
        value = self._value.get(name)
        if isinstance(value, bool):
            self._taken.add(self._below(name))
        return value is True

    def words(self, name: str) -> tuple[str, ...]:
        """A list of words, or one word alone."""
        value = self._value.get(name)
        found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        words = tuple(item for item in found if isinstance(item, str) and item)
        if words:
            self._taken.add(self._below(name))
        return words

    def at(self, name: str) -> "Source":
        """The object below, or an empty one."""
        value = self._value.get(name)
        return Source(value if isinstance(value, dict) else {}, self._below(name), self._taken)

    def each(self, name: str) -> "list[Source]":
        """The objects of a list; one alone counts as a list of it."""
        value = self._value.get(name)
        found = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
        return [
            Source(item, f"{self._below(name)}[{place}]", self._taken)
            for place, item in enumerate(found)
            if isinstance(item, dict)
        ]

    def losses(self, reasons: Mapping[str, str] | None = None) -> tuple[Loss, ...]:
        """`reasons`: field name -> why it is not carried, for those that are left out on purpose."""
        known = reasons or {}
        found: list[Loss] = []
        for path in _leaves(self._value, self._path):
            if path not in self._taken and not _inside(path, self._taken):
                found.append(Loss(path, known.get(_name(path), NO_PLACE)))
            if len(found) == _MOST_LOSSES:
                return (*found, Loss("…", "More fields than are listed."))
        return tuple(found)

    def _below(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _leaves(value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _leaves(child, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from _leaves(child, f"{path}[{place}]")
    elif value not in (None, ""):
        yield path


def _inside(path: str, taken: set[str]) -> bool:
    """A word of a list that was taken as a whole."""
    return path.endswith("]") and path[: path.rindex("[")] in taken


def _name(path: str) -> str:
    return path.rpartition(".")[2].partition("[")[0]
