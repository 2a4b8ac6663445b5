"""Which format the client takes: JSON, said by `Accept` or by `_format`, or 406.

https://hl7.org/fhir/R4/http.html#mime-type, #version-parameter; RFC 9110 section 12.5.1.
"""

from collections.abc import Sequence
from functools import lru_cache

from starlette.requests import Request

from fhir_server.kernel.errors import NotAcceptableError

JSON_NAMES = frozenset({"json", "application/json", "application/fhir+json", "text/json", "application/fhir json"})
"""The last is `application/fhir+json` in a query, where a raw `+` arrives as a space."""

_ANYTHING = frozenset({"*/*", "application/*", ""})
_VERSIONS = frozenset({"4.0", "4.0.1"})


def require_json_answer(request: Request) -> None:
    """406 unless the client takes JSON of FHIR 4.0; `_format` beats Accept."""
    if request.scope["query_string"]:
        wanted = request.query_params.get("_format")
        if wanted:
            require_json_format([wanted])
            return
    accepted = request.headers.getlist("accept")
    if accepted and not _takes_json(",".join(accepted)):
        raise not_acceptable()


def require_json_format(wanted: Sequence[str]) -> None:
    """The same for `_format` alone, wherever it was given."""
    if not all(_is_json(one, JSON_NAMES) for one in wanted if one):
        raise not_acceptable()


def names_this_version(media_type: str) -> bool:
    """False where a media type asks, by its parameter, for FHIR of another version than 4.0."""
    parameters = [part.partition("=") for part in media_type.split(";")[1:]]
    asked = {value.strip(' "') for name, _, value in parameters if name.strip().casefold() == "fhirversion"}
    return asked <= _VERSIONS


@lru_cache(maxsize=256)
def _takes_json(accept: str) -> bool:
    return any(_is_json(one, JSON_NAMES | _ANYTHING) and _weight(one) > 0 for one in accept.split(","))


def _is_json(media_range: str, names: frozenset[str]) -> bool:
    return media_range.partition(";")[0].strip().casefold() in names and names_this_version(media_range)


def _weight(media_range: str) -> float:
    for part in media_range.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().casefold() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def not_acceptable() -> NotAcceptableError:
    return NotAcceptableError("Only JSON of FHIR 4.0 is spoken here: application/fhir+json.")
