"""Sets of codes, some of a system or all but some: what `:below`, `:above`, `:in` and `:not-in` of a token come to.

https://hl7.org/fhir/R4/search.html#token. Codes are case folded, as the values are that are held against them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fhir_server.search.types.kind import MOST_KEYWORDS, Cover, Value
from fhir_server.search.types.token_values import TokenValue

_BREADTH, _WIDEST = 5, 9


@dataclass(frozen=True, slots=True)
class Some:
    """Of one code system these codes; with `apart` all but these."""

    codes: frozenset[str] = frozenset()
    apart: bool = False

    def holds(self, code: str) -> bool:
        return (code in self.codes) is not self.apart

    def both(self, other: "Some") -> "Some":
        if self.apart and other.apart:
            return Some(self.codes | other.codes, apart=True)
        if self.apart:
            return Some(other.codes - self.codes)
        return Some(self.codes - other.codes if other.apart else self.codes & other.codes)

    def either(self, other: "Some") -> "Some":
        return self.others().both(other.others()).others()

    def without(self, other: "Some") -> "Some":
        return self.both(other.others())

    def others(self) -> "Some":
        return Some(self.codes, not self.apart)


_NONE = Some()


@dataclass(frozen=True, slots=True)
class CodeSet:
    """By system, in the order of their names; of a system that is not among them there is no code."""

    systems: tuple[tuple[str, Some], ...] = ()

    @classmethod
    def of(cls, system: str, codes: Iterable[str]) -> "CodeSet":
        found = frozenset(map(folded, codes))
        return cls(((system, Some(found)),)) if found else cls()

    @classmethod
    def whole(cls, system: str) -> "CodeSet":
        return cls(((system, Some(apart=True)),))

    @property
    def size(self) -> int:
        """How many codes it takes to say."""
        return sum(len(some.codes) for _, some in self.systems)

    def both(self, other: "CodeSet") -> "CodeSet":
        return self._with(other, Some.both)

    def either(self, other: "CodeSet") -> "CodeSet":
        return self._with(other, Some.either)

    def without(self, other: "CodeSet") -> "CodeSet":
        return self._with(other, Some.without)

    def _with(self, other: "CodeSet", how: Callable[[Some, Some], Some]) -> "CodeSet":
        mine, theirs = dict(self.systems), dict(other.systems)
        found = ((each, how(mine.get(each, _NONE), theirs.get(each, _NONE))) for each in sorted(mine | theirs))
        return CodeSet(tuple((system, some) for system, some in found if some != _NONE))


@dataclass(frozen=True, slots=True)
class TokenAmong:
    """A coding with one of the codes. What has no system of its own, or is an identifier, is none."""

    members: CodeSet

    @property
    def breadth(self) -> int:
        return min(_WIDEST, _BREADTH + self.members.size // MOST_KEYWORDS)

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        """One group however large: a store asks in several pieces. All but some codes cannot be said."""
        if any(some.apart for _, some in self.members.systems):
            return ()
        group = sorted({code for _, some in self.members.systems for code in some.codes})
        return (tuple(group),) if group else ()

    def matches(self, value: Value) -> bool:
        if not isinstance(value, TokenValue) or not value.system or not value.code or value.identifier:
            return False
        return any(system == value.system and some.holds(value.code) for system, some in self.members.systems)


def folded(code: str) -> str:
    """A code as it is compared."""
    return code.strip().casefold()
