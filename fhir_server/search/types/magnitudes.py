"""Numbers as keywords: a log-linear scale of 65,536 steps, written as four hexadecimal digits.

A number has the one to four leading digits of its step as keywords; a range of numbers is covered by few. 256 steps for
every doubling, from 2^-64 to 2^62: a step is at most 0.4 % wide, what is larger or smaller shares the last one.
"""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import islice

_ZERO = 0x8000
_LAST = 0xFFFF
_DIGITS = 4
_STEPS = 256
_SMALLEST = 64


def step(number: Decimal | Fraction) -> int:
    """Which step a number falls on; a larger number never on a lower one."""
    value = _float(number)
    if value == 0:
        return _ZERO
    if math.isinf(value):
        away = _LAST - _ZERO
    else:
        mantissa, exponent = math.frexp(abs(value))
        steps = (exponent + _SMALLEST) * _STEPS + int((mantissa - 0.5) * 2 * _STEPS)
        away = min(max(steps, 1), _LAST - _ZERO)
    return _ZERO + away if value > 0 else _ZERO - away


def _float(number: Decimal | Fraction) -> float:
    """Rounded to the nearest, which keeps the order; a fraction beyond all floats is infinite like a decimal."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def keywords(number: Decimal) -> Sequence[str]:
    digits = f"{step(number):04x}"
    return digits[:1], digits[:2], digits[:3], digits


def cover(first: Decimal | Fraction | None, last: Decimal | Fraction | None, most: int) -> tuple[str, ...] | None:
    """Keywords of which every number from `first` to `last` has at least one; None stands for no bound.

    The finest cover that needs no more than `most`; None when even the coarsest needs more.
    """
    low = 0 if first is None else step(first)
    high = _LAST if last is None else step(last)
    for dropped in range(_DIGITS):
        size = 16**dropped
        found = tuple(islice(_cover(low // size * size, high // size * size + size - 1), most + 1))
        if len(found) <= most:
            return found
    return None


def _cover(low: int, high: int) -> Iterator[str]:
    at = low
    while at <= high:
        digits = next(
            digits for digits in range(1, _DIGITS + 1) if at % (size := _width(digits)) == 0 and at + size - 1 <= high
        )
        yield f"{at:04x}"[:digits]
        at += _width(digits)


def _width(digits: int) -> int:
    return int(16 ** (_DIGITS - digits))
