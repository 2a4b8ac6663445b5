"""The place of a value among others of its kind, as a text that sorts where the value does: a page link can hold it.

https://hl7.org/fhir/R4/search.html#sort
"""

from decimal import Decimal

from fhir_server.search.types.moment import END

MOST_CHARACTERS = 128
"""How much of a text counts."""

_HIGHEST_EXPONENT = 99_999


def text(written: str) -> str:
    return written[:MOST_CHARACTERS]


def whole(number: int) -> str:
    """Digits of one length, counted from the earliest moment that there is."""
    return f"{number + END:020d}"


def decimal(number: Decimal) -> str:
    """The sign, how many digits stand before the point, the digits; of a negative number all of it turned round."""
    if number == 0:
        return "1"
    if number.is_infinite():
        return "3" if number > 0 else "0"
    exponent = max(-_HIGHEST_EXPONENT, min(_HIGHEST_EXPONENT, number.adjusted()))
    digits = "".join(map(str, number.as_tuple().digits)).lstrip("0").rstrip("0")
    written = f"{exponent + _HIGHEST_EXPONENT:06d}{digits}"[:MOST_CHARACTERS]
    if number > 0:
        return f"2{written}"
    return "0" + "".join(str(9 - int(digit)) for digit in written) + "~"
