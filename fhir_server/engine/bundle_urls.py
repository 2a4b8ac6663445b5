"""What the URL of an entry names: a type, an instance, a version, a search, a history; and whether the method fits.

https://hl7.org/fhir/R4/http.html#summary: relative to the base, as it would be asked alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl

from fhir_server.engine.window import Asked, asked_of
from fhir_server.fhir.definitions import compartment_types, served_types, why_not_served
from fhir_server.fhir.view import PARAMETERS, WHOLE, View, view_of
from fhir_server.kernel.errors import FhirError, InvalidRequestError, Issue, NotFoundError, TooCostlyError
from fhir_server.kernel.identity import is_id, is_version
from fhir_server.search.results import FORMATTING
from fhir_server.search.several import ANY

Pairs: TypeAlias = Sequence[tuple[str, str]]
Listing: TypeAlias = Literal["", "search", "history"]

READS = frozenset({"GET", "HEAD"})
_SHOWING = PARAMETERS | FORMATTING
_OF_INSTANCE = 2
_MOST_BYTES = 8_192
"""What fits into a page link, which carries the search."""


@dataclass(frozen=True, slots=True)
class Target:
    """`type` is empty for the system, `id` where the URL names none. `version` is asked for by a vread.

    `listing`: many resources are asked for; `member`: the type searched in a compartment. `path` has no closing slash.
    """

    path: str
    query: str
    type: str = ""
    id: str = ""
    version: int | None = None
    listing: Listing = ""
    member: str = ""
    view: View = WHOLE
    history: Asked | None = None


def target_of(method: str, url: str) -> Target:
    """Raises NotFoundError for what is not served, InvalidRequestError where URL and method do not go together."""
    path, _, query = url.partition("?")
    path = path.strip("/")
    parts = [part for part in path.split("/") if path]
    pairs = parse_qsl(query, keep_blank_values=True) if query else []
    if parts and parts[-1].startswith("$"):
        says = "Operations are not done as entries of a Bundle; ask for it alone."
        raise InvalidRequestError(issues=[Issue("not-supported", says, "request.url")])
    if method in READS and parts[-1:] in ([], ["_history"]) and len(parts) <= 1:
        return _listing(Target(path, query, listing="history" if parts else "search"), pairs)
    if not parts or parts[0] not in served_types():
        raise NotFoundError(why_not_served(parts[0] if parts else ""), expression="request.url")
    found = _read(path, query, parts, pairs) if method in READS else _written(method, path, query, parts)
    if found is None:
        raise InvalidRequestError(f"request.url does not fit {method}.", expression="request.url")
    return found


def _written(method: str, path: str, query: str, parts: Sequence[str]) -> Target | None:
    """A POST names a type; another write an instance, or a type with criteria."""
    if len(parts) == 1:
        return Target(path, query, parts[0]) if bool(query) != (method == "POST") else None
    if method == "POST" or query or len(parts) != _OF_INSTANCE or not is_id(parts[1]):
        return None
    return Target(path, query, parts[0], parts[1])


def _read(path: str, query: str, parts: Sequence[str], pairs: Pairs) -> Target | None:
    type, *rest = parts
    match rest:
        case []:
            return _listing(Target(path, query, type, listing="search"), pairs)
        case ["_history"]:
            return _listing(Target(path, query, type, listing="history"), pairs)
        case [id, *below] if is_id(id):
            return _of_instance(Target(path, query, type, id), below, pairs)
        case _:
            return None


def _of_instance(target: Target, below: Sequence[str], pairs: Pairs) -> Target | None:
    """Of itself and its versions can be asked only how to show them."""
    only_shown = all(name in _SHOWING for name, _ in pairs)
    match below:
        case ["_history"]:
            return _listing(replace(target, listing="history"), pairs)
        case [member]:
            return _listing(_compartment(replace(target, listing="search", member=member)), pairs)
        case [] if only_shown:
            return replace(target, view=view_of(pairs))
        case ["_history", version] if only_shown and is_version(version):
            return replace(target, version=int(version), view=view_of(pairs))
        case _:
            return None


def _compartment(target: Target) -> Target:
    if target.member != ANY and target.member not in served_types():
        raise NotFoundError(why_not_served(target.member), expression="request.url")
    if target.type not in compartment_types():
        raise NotFoundError(f"{target.type} has no compartment.", expression="request.url")
    return target


def _listing(target: Target, pairs: Pairs) -> Target:
    if len(target.query.encode()) > _MOST_BYTES:
        raise TooCostlyError(f"The parameters of a search have at most {_MOST_BYTES} bytes together.")
    if target.listing == "search":
        return target
    try:
        history = asked_of([pair for pair in pairs if pair[0] not in _SHOWING])
    except FhirError as error:
        raise InvalidRequestError(str(error), expression="request.url") from None
    return replace(target, view=view_of(pairs), history=history)
