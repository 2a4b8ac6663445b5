"""Rules of this server on identity, which hold for every type.

https://hl7.org/fhir/R4/resource.html#id; architecture section 4: ids stay readable in the database.
"""

import re
from collections.abc import Collection, Sequence

from fhir_server.fhir.reference_places import expression_of, reference_places
from fhir_server.kernel.errors import InvalidRequestError, Issue, MethodNotAllowedError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, is_id
from fhir_server.kernel.json import Json
from fhir_server.kernel.national_numbers import national_number

LOG = "AuditEvent"
"""The type that is only ever added to."""

_SHORTEST_TELLING = 4
"""An identifier of fewer characters is found in an id by chance; equal it may still not be."""

_PUNCTUATION = re.compile(r"[^a-z0-9]")


def require_type(resource: object, type: str) -> Json:
    """The body as a resource of the type that the URL names; 400 otherwise."""
    if not isinstance(resource, dict):
        raise InvalidRequestError("The body is not a FHIR resource: a JSON object with a resourceType.")
    if resource.get("resourceType") != type:
        raise InvalidRequestError(f"The URL says {type}, the resourceType of the body does not.")
    return resource


def refuse_log_change(type: str | None, *, allow: Sequence[str] = ("GET", "HEAD")) -> None:
    """An AuditEvent is never changed, nor made under an id or a condition of the client's (R-BALP-019): 405."""
    if type == LOG:
        raise MethodNotAllowedError("The audit log is only added to, by POST.", allow=allow)


def require_id(resource: Json, id: str) -> None:
    """An update names its target twice, and both agree: 400 otherwise."""
    if not is_id(id):
        raise InvalidRequestError("The id in the URL is not a FHIR id: 1 to 64 of A-Z a-z 0-9 - .")
    if resource.get("id") != id:
        raise InvalidRequestError("The id of the body is missing or differs from the id in the URL.", expression="id")


def require_same(resource: Json, key: ResourceKey) -> None:
    """An edit changes neither type nor id: 422."""
    if resource.get("resourceType") != key.type or resource.get("id") != key.id:
        raise UnprocessableError("A patch changes neither resourceType nor id.", expression="id")


def refuse_telling_id(resource: Json, id: str) -> None:
    """An id is stored in clear, so it must carry neither an identifier of the resource nor a national number: 422."""
    refuse_national_number(id, f"{resource.get('resourceType')}.id")
    found = resource.get("identifier")
    identifiers = found if isinstance(found, list) else [found]
    plain_id = _plain(id)
    for index, identifier in enumerate(identifiers):
        value = _plain(str(identifier.get("value") or "")) if isinstance(identifier, dict) else ""
        if value and (value == plain_id or (len(value) >= _SHORTEST_TELLING and value in plain_id)):
            raise UnprocessableError(
                "The id contains one of the resource's identifiers; ids are not secret. Choose another id.",
                expression=f"{resource.get('resourceType')}.identifier[{index}].value",
            )


def refuse_national_number(id: str, *places: str) -> None:
    """422 at each place for an id by which a state knows somebody."""
    if scheme := national_number(id):
        says = (
            f"An id with form and check digit of a national number is not taken: ids are not secret. It fits {scheme}."
        )
        raise UnprocessableError(issues=[Issue("invalid", says, place) for place in places])


def refuse_telling_subjects(resource: Json, subjects: Collection[str]) -> None:
    """The ids of the patients that a resource names stand in clear beside it, also of those not stored here: 422."""
    for id in subjects:
        if national_number(id):
            places = [
                expression_of(resource, steps)
                for steps, text in reference_places(resource)
                if text.partition("/_history/")[0].endswith(f"Patient/{id}")
            ]
            refuse_national_number(id, *places or [str(resource.get("resourceType"))])


def _plain(text: str) -> str:
    return _PUNCTUATION.sub("", text.casefold())
