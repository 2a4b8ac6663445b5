"""Which part of a history is asked for.

https://hl7.org/fhir/R4/http.html#history
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.types.moment import stretch

_DEFAULT_COUNT, _MOST_COUNT = 20, 1000


@dataclass(frozen=True, slots=True)
class Window:
    """In microseconds since 1970. `since`: versions made at or after it; `at`: those current at some time within it."""

    since: int | None = None
    at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A history as it is asked for; `count` versions to a page."""

    window: Window
    count: int


def asked_of(pairs: Iterable[tuple[str, str]]) -> Asked:
    """From the parameters of a request. Raises InvalidRequestError for one that a history does not have."""
    since: int | None = None
    at: tuple[int, int] | None = None
    count = _DEFAULT_COUNT
    for name, value in pairs:
        # A raw `+` of a time zone arrives as a space.
        moment = stretch(value.replace(" ", "+"))
        if name == "_count" and value.isascii() and value.isdigit() and int(value[:9]) > 0:
            count = min(int(value[:9]), _MOST_COUNT)
        elif name == "_since" and moment and "T" in value:
            since = moment.low
        elif name == "_at" and moment:
            at = (moment.low, moment.high)
        else:
            raise InvalidRequestError("A history takes _since (an instant), _at (a date or time), _count (from 1).")
    return Asked(Window(since, at), count)
