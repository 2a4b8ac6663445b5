"""Kind `number`: what was written stands for all numbers that round to it; comparisons take it exactly.

https://hl7.org/fhir/R4/search.html#number
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Context, Decimal
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.search.types import bounds, magnitudes, ranks
from fhir_server.search.types.escapes import unescape
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type
from fhir_server.search.types.units import Unit

_WRITTEN = re.compile(
    r"(?P<prefix>eq|ne|gt|lt|ge|le|sa|eb|ap)?(?P<number>[+-]?[0-9]{1,100}(?:\.[0-9]{1,100})?(?:[eE][+-]?[0-9]{1,3})?)",
    re.ASCII,
)
"""As many digits as a decimal of a resource may have (`fhir.primitives.MOST_DIGITS`); R4 asks for eighteen at least."""

_EXACT = Context(prec=2_500)
"""Enough digits for the sum of any two numbers that can be written: nothing is rounded."""

_MOST_KEYWORDS = 100
_LOWEST, _HIGHEST = Decimal("-Infinity"), Decimal("Infinity")

Exact: TypeAlias = Decimal | Fraction
"""A Fraction where a number was converted to another unit; Python compares the two exactly."""


class NumberValue(NamedTuple):
    """From `low` to `high`, both inclusive and mostly equal; infinite where open."""

    low: Decimal
    high: Decimal

    def keywords(self) -> Sequence[str]:
        lower = None if self.low == _LOWEST else magnitudes.keywords(self.low)
        if self.low == self.high and lower is not None:
            return lower
        return bounds.keywords(lower, None if self.high == _HIGHEST else magnitudes.keywords(self.high))

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return ranks.decimal(self.low)


@dataclass(frozen=True, slots=True)
class NumberIs:
    """A prefix and the number as written.

    On either side of it `eq` and `ne` allow `margin`, half of its last digit, and `ap` allows `around`, a tenth of it.
    """

    prefix: str
    number: Exact
    margin: Exact
    around: Exact

    @property
    def breadth(self) -> int:
        return 5 if self.prefix == "eq" else 8

    def matches(self, value: Value) -> bool:
        return isinstance(value, NumberValue) and _HOLDS[self.prefix](self, value)

    def within(self, margin: Exact) -> tuple[Exact, Exact]:
        """So much less and so much more."""
        if isinstance(self.number, Decimal) and isinstance(margin, Decimal):
            return _EXACT.subtract(self.number, margin), _EXACT.add(self.number, margin)
        return Fraction(self.number) - Fraction(margin), Fraction(self.number) + Fraction(margin)

    def scaled(self, unit: Unit, other: Unit) -> "NumberIs":
        """The same written in another unit of the same dimension."""
        if unit is other:
            return self
        ratio = unit.factor / other.factor
        number = other.own(unit.normal(self.number))
        return NumberIs(self.prefix, number, Fraction(self.margin) * ratio, Fraction(self.around) * ratio)

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        most = min(most, _MOST_KEYWORDS)
        match self.prefix:
            case "eq":
                groups = [_begins(*self.within(self.margin), most)]
            case "gt" | "ge":
                groups = [_ends(self.number, None, most)]
            case "lt" | "le":
                groups = [_begins(None, self.number, most)]
            case "sa":
                groups = [_begins(self.number, None, most)]
            case "eb":
                groups = [_ends(None, self.number, most)]
            case "ap":
                low, high = self.within(self.around)
                groups = [_begins(None, high, most), _ends(low, None, most)]
            case _:
                groups = []
        return tuple(group for group in groups if group is not None)


def _begins(first: Exact | None, last: Exact | None, most: int) -> tuple[str, ...] | None:
    return bounds.begins(magnitudes.cover(first, last, most - (first is None)), openly=first is None)


def _ends(first: Exact | None, last: Exact | None, most: int) -> tuple[str, ...] | None:
    return bounds.ends(magnitudes.cover(first, last, (most - (last is None)) // 2), openly=last is None)


def _inside(asked: NumberIs, value: NumberValue) -> bool:
    """R4 excludes the upper end of what rounds to a number."""
    low, high = asked.within(asked.margin)
    return value.low >= low and value.high < high


def _about(asked: NumberIs, value: NumberValue) -> bool:
    low, high = asked.within(asked.around)
    return value.low <= high and value.high >= low


_HOLDS: Mapping[str, Callable[[NumberIs, NumberValue], bool]] = {
    "eq": _inside,
    "ne": lambda asked, value: not _inside(asked, value),
    "gt": lambda asked, value: value.high > asked.number,
    "lt": lambda asked, value: value.low < asked.number,
    "ge": lambda asked, value: value.high >= asked.number,
    "le": lambda asked, value: value.low <= asked.number,
    "sa": lambda asked, value: value.low > asked.number,
    "eb": lambda asked, value: value.high < asked.number,
    "ap": _about,
}


def parse(asked: Asked) -> Predicate:
    return predicate(asked.parameter, unescape(asked.text))


def predicate(parameter: str, text: str) -> NumberIs:
    """`100`, `ge5.40`, `1e2`. Raises InvalidRequestError for what is no number."""
    written = _WRITTEN.fullmatch(text.strip())
    if written is None:
        raise InvalidRequestError(
            f"A value of {parameter} is a number such as 5.40, perhaps after one of eq, ne, gt, lt, ge, le, sa, eb, ap."
        )
    number = Decimal(written["number"])
    exponent = number.as_tuple().exponent
    margin = Decimal(5).scaleb(exponent - 1) if isinstance(exponent, int) else Decimal(0)
    return NumberIs(written["prefix"] or "eq", number, margin, _EXACT.scaleb(_EXACT.abs(number), -1))


def decimal(item: object) -> Decimal | None:
    """A JSON number; None for anything else."""
    if isinstance(item, bool) or not isinstance(item, int | float | Decimal):
        return None
    number = Decimal(str(item)) if isinstance(item, float) else Decimal(item)
    return number if number.is_finite() else None


def _number(item: object) -> Sequence[Value]:
    number = decimal(item)
    return () if number is None else (NumberValue(number, number),)


def ends_of(low: object, high: object) -> NumberValue | None:
    """A Range by its two quantities; None when both are open."""
    first = decimal(low.get("value")) if isinstance(low, dict) else None
    last = decimal(high.get("value")) if isinstance(high, dict) else None
    if first is None and last is None:
        return None
    return NumberValue(_LOWEST if first is None else first, _HIGHEST if last is None else last)


def _range(item: Json) -> Sequence[Value]:
    found = ends_of(item.get("low"), item.get("high"))
    return () if found is None else (found,)


NUMBER = Kind(
    "number",
    by_type({"decimal": _number, "integer": _number, "positiveInt": _number, "unsignedInt": _number, "Range": _range}),
    parse,
)
