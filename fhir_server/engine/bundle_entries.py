"""The entries of a batch or transaction, checked and in the order in which they take effect.

https://hl7.org/fhir/R4/http.html#transaction, #trules
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fhir_server.engine.entry_conditions import NONE, Conditions, conditions
from fhir_server.fhir.definitions import served_types, why_not_served
from fhir_server.fhir.view import PARAMETERS, WHOLE, View, view_of
from fhir_server.kernel.errors import FhirError, InvalidRequestError, Issue, NotFoundError, TooLargeError
from fhir_server.kernel.identity import ResourceKey, is_id, is_version
from fhir_server.kernel.json import Json
from fhir_server.search.results import FORMATTING

ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
READS = frozenset({"GET", "HEAD"})
_PARTS_OF_INSTANCE, _PARTS_OF_VERSION = 2, 4
_WITH_RESOURCE = frozenset({"POST", "PUT", "PATCH"})
_SHOWING = PARAMETERS | FORMATTING


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `index` is its place in the Bundle, `id` empty where the URL names none.

    `criteria` is the query of a conditional write, `query` that of a search. `version` is asked for by a vread.
    """

    index: int
    method: str
    type: str
    id: str = ""
    version: int | None = None
    criteria: str = ""
    query: str = ""
    resource: Json | None = None
    full_url: str = ""
    if_match: int | None = None
    conditions: Conditions = NONE
    view: View = WHOLE

    @property
    def only_new(self) -> bool:
        """Is a PUT to write only where there is nothing yet?"""
        return self.method == "PUT" and self.conditions.if_none_match == "*"

    @property
    def key(self) -> ResourceKey | None:
        return ResourceKey(self.type, self.id) if self.id else None


def listed(bundle: Json, most: int) -> list[Entry | FhirError]:
    """Every entry in the Bundle's order, or in its place why it cannot be understood."""
    found = bundle.get("entry", [])
    if not isinstance(found, list):
        raise InvalidRequestError("Bundle.entry is not an array.", expression="Bundle.entry")
    if len(found) > most:
        raise TooLargeError(f"A bundle has at most {most} entries.", expression="Bundle.entry")
    return [_understood(index, entry) for index, entry in enumerate(found)]


def entries(bundle: Json, most: int) -> list[Entry]:
    """The same, all of them understood. Raises for the first that is not."""
    found: list[Entry] = []
    for one in listed(bundle, most):
        if isinstance(one, FhirError):
            raise one
        found.append(one)
    return found


def _understood(index: int, entry: object) -> Entry | FhirError:
    try:
        return _entry(index, entry)
    except FhirError as error:
        return at_entry(error, index)


def _entry(index: int, entry: object) -> Entry:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(request, dict):
        raise InvalidRequestError("An entry needs a request.", expression="request")
    method, url = request.get("method"), request.get("url")
    if method not in ORDER or not isinstance(url, str):
        raise InvalidRequestError(f"An entry needs request.method, one of {', '.join(ORDER)}, and request.url.")
    path, _, query = url.partition("?")
    parts = path.strip("/").split("/")
    if parts[0] not in served_types():
        raise NotFoundError(why_not_served(parts[0]), expression="request.url")
    pairs = parse_qsl(query, keep_blank_values=True) if len(parts) > 1 else []
    resource = entry.get("resource")
    if method in _WITH_RESOURCE and not isinstance(resource, dict):
        raise InvalidRequestError(f"A {method} entry needs a resource.", expression="resource")
    if not _fits(method, parts, query, pairs):
        raise InvalidRequestError(f"request.url does not fit {method}.", expression="request.url")
    required = conditions(method, request, has_criteria=bool(query) and len(parts) == 1)
    return Entry(
        index,
        method,
        parts[0],
        id=parts[1] if len(parts) > 1 else "",
        version=int(parts[3]) if len(parts) == _PARTS_OF_VERSION else None,
        criteria=required.if_none_exist if method == "POST" else "" if method in READS else query,
        query=query if method in READS and len(parts) == 1 else "",
        resource=resource,
        full_url=str(entry.get("fullUrl", "")),
        if_match=required.if_match,
        conditions=required,
        view=view_of(pairs),
    )


def _fits(method: str, parts: Sequence[str], query: str, pairs: Sequence[tuple[str, str]]) -> bool:
    """Does the URL name what the method acts on: a type, an instance, or a type with criteria?

    What an instance is asked with says only how to show it.
    """
    if len(parts) == 1:
        return method in READS or (not query if method == "POST" else bool(query))
    if method == "POST" or not is_id(parts[1]):
        return False
    if query and (method not in READS or not all(name in _SHOWING for name, _ in pairs)):
        return False
    is_vread = len(parts) == _PARTS_OF_VERSION and parts[2] == "_history" and is_version(parts[3])
    return len(parts) == _PARTS_OF_INSTANCE or (method in READS and is_vread)


def at_entry(error: FhirError, index: int) -> FhirError:
    """The same fault, its issues pointing into the Bundle."""
    where = f"Bundle.entry[{index}]"
    error.issues = tuple(
        Issue(issue.code, issue.diagnostics, f"{where}.{_inside(issue.expression)}", issue.severity)
        if issue.expression
        else Issue(issue.code, issue.diagnostics, where, issue.severity)
        for issue in error.issues
    )
    return error


def _inside(expression: str) -> str:
    """`Patient.name[0]` is said of the entry's resource; `request.url` of the entry itself."""
    head, _, rest = expression.partition(".")
    return f"resource.{rest}" if head in served_types() and rest else expression
