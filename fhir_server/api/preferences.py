"""What the client would like to get back: how much of a resource, and of a write at all.

RFC 7240; https://hl7.org/fhir/R4/http.html#ops, https://hl7.org/fhir/R4/search.html#errors
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from starlette.requests import Request

from fhir_server.api.body import query_pairs
from fhir_server.fhir.view import WHOLE, View, view_of

Return: TypeAlias = Literal["minimal", "representation", "OperationOutcome"]

_RETURNS: Mapping[str, Return] = {
    "minimal": "minimal",
    "representation": "representation",
    "operationoutcome": "OperationOutcome",
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """`returns` None: the client says nothing, so each interaction has its own default."""

    view: View = WHOLE
    returns: Return | None = None


_NONE = Preferences()


def preferences_of(request: Request) -> Preferences:
    """Raises InvalidRequestError for a `_summary` or `_elements` that is none."""
    prefer = request.headers.get("prefer")
    if prefer is None and not request.scope["query_string"]:
        return _NONE
    return Preferences(view_of(query_pairs(request)), _RETURNS.get(_preferred(request).get("return", "")))


def is_lenient(request: Request) -> bool:
    """`Prefer: handling=lenient`: what a search does not know may be left out."""
    return "prefer" in request.headers and _preferred(request).get("handling") == "lenient"


def is_async(request: Request) -> bool:
    """`Prefer: respond-async` (RFC 7240 section 4.1), in whatever list it stands."""
    return "prefer" in request.headers and "respond-async" in _preferred(request)


def _preferred(request: Request) -> Mapping[str, str]:
    return _parsed(",".join(request.headers.getlist("prefer")))


@lru_cache(maxsize=64)
def _parsed(header: str) -> Mapping[str, str]:
    """Preference -> value. Clients also put `;` between two of them. The first of a name counts."""
    found: dict[str, str] = {}
    for part in header.replace(";", ",").split(","):
        name, _, value = part.partition("=")
        found.setdefault(name.strip().casefold(), value.strip(' "').casefold())
    return found
