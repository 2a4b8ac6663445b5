"""Kind `quantity`: a number and, if asked for, its unit; UCUM units of one dimension are converted.

https://hl7.org/fhir/R4/search.html#quantity
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal, localcontext
from typing import NamedTuple

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.search.types import number, ranks
from fhir_server.search.types.escapes import split, unescape
from fhir_server.search.types.kind import MOST_KEYWORDS, Asked, Cover, Kind, Predicate, Value, by_type
from fhir_server.search.types.units import ALIKE, UCUM, UNITS, Unit

_CURRENCIES = "urn:iso:std:iso:4217"
_PARTS = 3
_MOST_DIGITS = 40


class QuantityValue(NamedTuple):
    number: number.NumberValue
    system: str
    code: str
    unit: str

    def keywords(self) -> Sequence[str]:
        """Those of the number as it is written. The unit hardly narrows a search that names a code."""
        return self.number.keywords()

    def rank(self, zone: tzinfo | None = None) -> str | None:
        return ranks.decimal(_normal(self.number.low, self.code) if self.system == UCUM else self.number.low)


@dataclass(frozen=True, slots=True)
class QuantityIs:
    """`number`, `number|system|code`, or `number||code`, where the code may also be the unit as people read it.

    `scale` is the unit asked for, where it is one that converts.
    """

    number: number.NumberIs
    system: str = ""
    code: str = ""
    scale: Unit | None = None

    @property
    def breadth(self) -> int:
        return self.number.breadth

    def cover(self, most: int = MOST_KEYWORDS) -> Cover:
        """The number in each unit in which it may have been written: of a mass, in grams, in kilograms and so on."""
        if self.scale is None:
            return self.number.cover(most)
        alike = ALIKE[self.scale.dimension]
        covers = [self.number.scaled(self.scale, unit).cover(most // len(alike)) for unit in alike]
        return tuple(_united(covers)) if all(len(cover) == len(covers[0]) for cover in covers) else ()

    def matches(self, value: Value) -> bool:
        if not isinstance(value, QuantityValue):
            return False
        if self._unit_matches(value):
            return self.number.matches(value.number)
        if self.scale is None or value.system != UCUM:
            return False
        other = UNITS.get(value.code)
        if other is None or other.dimension != self.scale.dimension:
            return False
        return self.number.scaled(self.scale, other).matches(value.number)

    def _unit_matches(self, value: QuantityValue) -> bool:
        if self.system:
            return value.system == self.system and value.code == self.code
        return not self.code or self.code in {value.code, value.unit}


def _normal(number: Decimal, code: str) -> Decimal:
    """In the unit to which others of its dimension convert; what no clinic measures stays as it is."""
    unit = UNITS.get(code)
    if unit is None or not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return number
    found = unit.normal(number)
    with localcontext(prec=_MOST_DIGITS):
        return Decimal(found.numerator) / Decimal(found.denominator)


def _united(covers: Sequence[Cover]) -> Iterable[tuple[str, ...]]:
    for groups in zip(*covers, strict=True):
        yield tuple(dict.fromkeys(keyword for group in groups for keyword in group))


def parse(asked: Asked) -> Predicate:
    parts = [unescape(part) for part in split(asked.text, "|")]
    if len(parts) not in {1, _PARTS} or (len(parts) == _PARTS and parts[1] and not parts[2]):
        raise InvalidRequestError(f"A value of {asked.parameter} is number, number|system|code or number||code.")
    found = number.predicate(asked.parameter, parts[0])
    if len(parts) == 1:
        return QuantityIs(found)
    _, system, code = parts
    return QuantityIs(found, system, code, UNITS.get(code) if system == UCUM else None)


def _text(item: Json, name: str) -> str:
    found = item.get(name)
    return found if isinstance(found, str) else ""


def _of_unit(found: number.NumberValue, item: Json) -> Sequence[Value]:
    return (QuantityValue(found, _text(item, "system"), _text(item, "code"), _text(item, "unit")),)


def _quantity(item: Json) -> Sequence[Value]:
    """`< 5` is anything up to 5."""
    value = number.decimal(item.get("value"))
    if value is None:
        return ()
    comparator = _text(item, "comparator")
    low = Decimal("-Infinity") if comparator.startswith("<") else value
    high = Decimal("Infinity") if comparator.startswith(">") else value
    return _of_unit(number.NumberValue(low, high), item)


def _range(item: Json) -> Sequence[Value]:
    low, high = item.get("low"), item.get("high")
    found = number.ends_of(low, high)
    unit = low if isinstance(low, dict) else high
    return _of_unit(found, unit) if found is not None and isinstance(unit, dict) else ()


def _money(item: Json) -> Sequence[Value]:
    value = number.decimal(item.get("value"))
    currency = _text(item, "currency")
    if value is None:
        return ()
    return (QuantityValue(number.NumberValue(value, value), _CURRENCIES if currency else "", currency, ""),)


QUANTITY = Kind(
    "quantity",
    by_type({"Quantity": _quantity, "Age": _quantity, "Duration": _quantity, "Range": _range, "Money": _money}),
    parse,
)
