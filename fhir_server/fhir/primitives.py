"""Whether a JSON value is a well-formed value of a primitive type.

https://hl7.org/fhir/R4/datatypes.html#primitive
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from fhir_server.kernel.identity import is_id

MOST_CHARACTERS = 1024 * 1024
"""R4's own limit for a string."""
MOST_DIGITS = 100
"""For decimals as they are written, on each side of the point: enough for any measurement."""
MOST_EXPONENT = 400
"""How many places the first digit may lie from the point: R4's own examples go to 245, a double to 308."""

_TOO_LARGE: int = 10**MOST_DIGITS

_TEXT = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]+")
_CODE = re.compile(r"[^\x00-\x20]+(?: [^\x00-\x20]+)*")
_URI = re.compile(r"[^\x00-\x20]+")
"""White space is that of ASCII, as in R4's regular expressions: some of R4's own codes end in a no-break space."""
_GROUP = 4
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PADDINGS = frozenset({b"", b"=", b"=="})
_BLANKS = re.compile(r"[ \t\r\n]+")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DAY = r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_PARTIAL = r"(?!0000)[0-9]{4}(?:-(?:0[1-9]|1[0-2]))?"
_DATE = re.compile(f"{_DAY}|{_PARTIAL}")
_DATE_TIME = re.compile(f"{_DAY}T{_CLOCK}{_ZONE}|{_DAY}|{_PARTIAL}")
_INSTANT = re.compile(f"{_DAY}T{_CLOCK}{_ZONE}")
_TIME = re.compile(_CLOCK)
_EVERY_MONTH_HAS = "28"


def is_string(value: object) -> bool:
    """No control characters but tab, line feed and carriage return. Blanks alone are advised against, and allowed."""
    if type(value) is not str or not value or len(value) > MOST_CHARACTERS:
        return False
    return value.isprintable() or _TEXT.fullmatch(value) is not None


def is_code(value: object) -> bool:
    if type(value) is not str or not value:
        return False
    if value.isalnum():
        return True
    return _CODE.fullmatch(value) is not None and len(value) <= MOST_CHARACTERS


def is_uri(value: object) -> bool:
    """Not empty and without white space, as R4's regular expression has it; no scheme is asked for."""
    return type(value) is str and _URI.fullmatch(value) is not None and len(value) <= MOST_CHARACTERS


def _is_real(day: str) -> bool:
    """Whether the calendar has the day; the pattern has seen to the rest."""
    if day[8:10] <= _EVERY_MONTH_HAS:
        return True
    try:
        date.fromisoformat(day[:10])
    except ValueError:
        return False
    return True


def _is_moment(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        return type(value) is str and pattern.fullmatch(value) is not None and _is_real(value)

    return check


def _is_text(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        return type(value) is str and pattern.fullmatch(value) is not None

    return check


def _is_whole(least: int) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        return type(value) is int and least <= value <= 2**31 - 1

    return check


def is_decimal(value: object) -> bool:
    """A JSON number: true is none, and neither is a float, which has lost the digits that the client wrote."""
    if type(value) is int:
        return -_TOO_LARGE < value < _TOO_LARGE
    return isinstance(value, Decimal) and abs(value.adjusted()) <= MOST_EXPONENT and len(str(value)) <= 2 * MOST_DIGITS


def is_base64(value: object) -> bool:
    """RFC 4648 with padding. Between groups of four characters there may be blanks and line breaks.

    Documents of megabytes come by here, so nothing is decoded: what is left without the alphabet is the padding.
    """
    if type(value) is not str or not value.isascii():
        return False
    lines = _BLANKS.split(value) if any(blank in value for blank in " \t\r\n") else [value]
    if any(len(line) % _GROUP for line in lines):
        return False
    letters = "".join(lines).encode()
    padding = letters.translate(None, _ALPHABET)
    return padding in _PADDINGS and letters.endswith(padding) and letters != b""


FORMATS: Mapping[str, Callable[[object], bool]] = MappingProxyType(
    {
        "base64Binary": is_base64,
        "boolean": lambda value: type(value) is bool,
        "canonical": is_uri,
        "code": is_code,
        "date": _is_moment(_DATE),
        "dateTime": _is_moment(_DATE_TIME),
        "decimal": is_decimal,
        "id": lambda value: type(value) is str and is_id(value),
        "instant": _is_moment(_INSTANT),
        "integer": _is_whole(-(2**31)),
        "markdown": is_string,
        "oid": _is_text(_OID),
        "positiveInt": _is_whole(1),
        "string": is_string,
        "time": _is_text(_TIME),
        "unsignedInt": _is_whole(0),
        "uri": is_uri,
        "url": is_uri,
        "uuid": _is_text(_UUID),
    }
)
"""Primitive type -> check. `xhtml` has rules of its own: fhir.narrative."""
