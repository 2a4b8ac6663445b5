"""Rules of this server on identity, which hold for every type.

https://hl7.org/fhir/R4/resource.html#id; architecture section 4: ids stay readable in the database.
"""

import re

from fhir_server.kernel.errors import InvalidRequestError, MethodNotAllowedError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, is_id
from fhir_server.kernel.json import Json

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


def refuse_log_change(type: str) -> None:
    """AuditEvents are written by the server alone, and never changed (IHE BALP): 405."""
    if type == "AuditEvent":
        raise MethodNotAllowedError("The audit log is written by the server alone.", allow=("GET", "HEAD"))


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
    """An id is stored in clear, so it must not carry one of the resource's identifiers: 422."""
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


def _plain(text: str) -> str:
    return _PUNCTUATION.sub("", text.casefold())
