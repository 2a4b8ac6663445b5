"""The entries of a batch or transaction, checked and in the order in which they take effect.

https://hl7.org/fhir/R4/http.html#transaction, #trules
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.errors import FhirError, InvalidRequestError, Issue, NotFoundError, TooLargeError
from fhir_server.kernel.identity import NewId, ResourceKey, is_id
from fhir_server.kernel.json import Json

ORDER = ("DELETE", "POST", "PUT", "GET")
_PARTS_OF_INSTANCE = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `index` is its place in the Bundle; `key.id` is fresh for a POST, empty for a search."""

    index: int
    method: str
    key: ResourceKey
    query: str = ""
    resource: Json | None = None
    full_url: str = ""
    if_match: int | None = None


def entries(bundle: Json, new_id: NewId, most: int) -> list[Entry]:
    """Every entry in the Bundle's order. Raises for the first that cannot be understood, naming it."""
    found = bundle.get("entry", [])
    if not isinstance(found, list):
        raise InvalidRequestError("Bundle.entry is not an array.", expression="Bundle.entry")
    if len(found) > most:
        raise TooLargeError(f"A bundle has at most {most} entries.", expression="Bundle.entry")
    parsed = []
    for index, entry in enumerate(found):
        try:
            parsed.append(_entry(index, entry, new_id))
        except FhirError as error:
            raise at_entry(error, index) from None
    return parsed


def _entry(index: int, entry: object, new_id: NewId) -> Entry:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(request, dict):
        raise InvalidRequestError("An entry needs a request.", expression="request")
    method, url = request.get("method"), request.get("url")
    if method not in ORDER or not isinstance(url, str):
        raise InvalidRequestError(f"An entry needs request.method, one of {', '.join(ORDER)}, and request.url.")
    conditions = sorted(_CONDITIONS & request.keys())
    if conditions:
        raise InvalidRequestError(f"Conditional entries are not served: request.{conditions[0]}.")
    path, _, query = url.partition("?")
    parts = path.strip("/").split("/")
    if parts[0] not in served_types():
        raise NotFoundError("request.url names no resource type that is served here.", expression="request.url")
    key = ResourceKey(parts[0], _id(method, parts, query, new_id))
    resource = entry.get("resource")
    if method in {"POST", "PUT"} and not isinstance(resource, dict):
        raise InvalidRequestError("A POST or PUT entry needs a resource.", expression="resource")
    full_url = entry.get("fullUrl", "")
    return Entry(index, method, key, query, resource, str(full_url), version_in(request.get("ifMatch")))


_CONDITIONS = frozenset({"ifNoneMatch", "ifModifiedSince", "ifNoneExist"})


def _id(method: str, parts: Sequence[str], query: str, new_id: NewId) -> str:
    if len(parts) == 1 and method == "POST" and not query:
        return new_id()
    if len(parts) == 1 and method == "GET":
        return ""
    if len(parts) == _PARTS_OF_INSTANCE and is_id(parts[1]) and method != "POST" and not query:
        return parts[1]
    raise InvalidRequestError(f"request.url does not fit {method}.", expression="request.url")


def version_in(etag: object) -> int | None:
    """`W/"3"` -> 3. None where there is no tag; 400 where it is not one of ours."""
    if etag is None or etag == "":
        return None
    number = str(etag).strip().removeprefix("W/").strip('"')
    if not number.isascii() or not number.isdigit():
        raise InvalidRequestError('A version is written W/"3".')
    return int(number)


def refuse_repeats(found: Sequence[Entry]) -> None:
    """The same identity twice makes the outcome depend on chance: 400."""
    seen: set[ResourceKey] = set()
    urls: set[str] = set()
    for entry in found:
        if entry.method == "GET":
            continue
        if entry.key in seen or (entry.full_url and entry.full_url in urls):
            raise at_entry(InvalidRequestError("The same resource occurs twice in the transaction."), entry.index)
        seen.add(entry.key)
        urls.add(entry.full_url)


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
