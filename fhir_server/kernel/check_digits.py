"""The kinds of check digit that national numbers have: each a function of the number, put together from its data.

ISO/IEC 7064; the schemes that use them are in `kernel.national_numbers`.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date

Check = Callable[[str], bool]
"""Does this number, of the right form, hold together?"""

_TEN, _ELEVEN = 10, 11


def weighted(weights: Sequence[int], modulus: int) -> Check:
    """The digits times their weights, the check digit's among them, sum up to a multiple."""
    return lambda number: _sum(number, weights) % modulus == 0


def remainder(weights: Sequence[int], modulus: int, place: int = -1, *, instead_of_ten: int | None = None) -> Check:
    """The digit at `place` is the remainder of the weighted sum; `instead_of_ten` stands for one of two digits."""

    def check(number: str) -> bool:
        found = _sum(number, weights) % modulus
        return int(number[place]) == (instead_of_ten if found == _TEN else found)

    return check


def two_stages(first: Sequence[int], second: Sequence[int]) -> Check:
    """Modulo 11; where ten remains, again with other weights, and where it does so again, nought (EE, LT)."""

    def check(number: str) -> bool:
        found = _sum(number, first) % _ELEVEN
        if found == _TEN:
            found = _sum(number, second) % _ELEVEN % _TEN
        return int(number[-1]) == found

    return check


def luhn(length: int) -> Check:
    """ISO/IEC 7812-1 annex B, over the last `length` digits."""

    def check(number: str) -> bool:
        digits = [int(digit) for digit in number[-length:][::-1]]
        return sum(digits[::2] + [digit * 2 // _TEN + digit * 2 % _TEN for digit in digits[1::2]]) % _TEN == 0

    return check


def mod_11_10(number: str) -> bool:
    """ISO/IEC 7064 MOD 11,10."""
    product = _TEN
    for digit in number[:-1]:
        product = ((product + int(digit)) % _TEN or _TEN) * 2 % _ELEVEN
    return (product + int(number[-1])) % _TEN == 1


def complement(digits: int, modulus: int, *before: str) -> Check:
    """The last two digits complete the remainder of the first ones, with or without what is put before them."""

    def check(number: str) -> bool:
        return any(modulus - int(each + number[:digits]) % modulus == int(number[digits:]) for each in before)

    return check


def letter(letters: str) -> Check:
    """The last character is the one at the remainder of the digits before it, as one number."""
    return lambda number: letters[int(number[:-1]) % len(letters)] == number[-1]


def replaced(pairs: Collection[tuple[str, str]], inner: Check) -> Check:
    """The same check after some characters were put in place of others."""

    def check(number: str) -> bool:
        for old, new in pairs:
            number = number.replace(old, new)
        return inner(number)

    return check


def both(*checks: Check) -> Check:
    return lambda number: all(check(number) for check in checks)


def born(year: slice, month: slice, day: slice, *, months: Sequence[int] = (0,), days: Sequence[int] = (0,)) -> Check:
    """Somebody may be born on that day; what is added to the months or days of some (women, foreigners) is data."""

    def check(number: str) -> bool:
        return any(
            _exists(int(number[year]), int(number[month]) - added, int(number[day]) - more)
            for added in months
            for more in days
        )

    return check


def _exists(year: int, month: int, day: int) -> bool:
    """In a year of two digits the 29th of February exists where it does in either century."""
    try:
        date(year if year >= 1000 else 2000 + year, month, day)  # noqa: PLR2004  four digits or two
    except ValueError:
        return False
    return True


def _sum(number: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))
