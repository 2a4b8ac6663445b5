"""The entries of a batch or transaction, checked and in the order in which they take effect.

https://hl7.org/fhir/R4/http.html#transaction, #trules
"""

from dataclasses import dataclass

from fhir_server.engine.bundle_urls import READS, Target, target_of
from fhir_server.engine.entry_conditions import NONE, Conditions, conditions
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.errors import FhirError, InvalidRequestError, Issue, TooLargeError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
_WITH_RESOURCE = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `index` is its place in the Bundle, `target` what its URL names.

    `criteria` is the query of a conditional write.
    """

    index: int
    method: str
    target: Target
    criteria: str = ""
    resource: Json | None = None
    full_url: str = ""
    if_match: int | None = None
    conditions: Conditions = NONE

    @property
    def type(self) -> str:
        return self.target.type

    @property
    def id(self) -> str:
        return self.target.id

    @property
    def only_new(self) -> bool:
        """Is a PUT to write only where there is nothing yet?"""
        return self.method == "PUT" and self.conditions.if_none_match == "*"

    @property
    def key(self) -> ResourceKey | None:
        return ResourceKey(self.type, self.id) if self.id and not self.target.listing else None


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
    target = target_of(method, url)
    resource = entry.get("resource")
    if method in _WITH_RESOURCE and not isinstance(resource, dict):
        raise InvalidRequestError(f"A {method} entry needs a resource.", expression="resource")
    criteria = "" if target.id or method in READS else target.query
    required = conditions(method, request, has_criteria=bool(criteria))
    return Entry(
        index,
        method,
        target,
        criteria=required.if_none_exist if method == "POST" else criteria,
        resource=resource,
        full_url=str(entry.get("fullUrl", "")),
        if_match=required.if_match,
        conditions=required,
    )


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
