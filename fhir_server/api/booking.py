"""`Appointment/$find`, `$hold`, `$book` and `$cancel` over HTTP.

https://profiles.ihe.net/ITI/Scheduling/ (ITI-115 to -117). `$cancel` is ours: IHE cancels by `$book`, which works too.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body, query_pairs
from fhir_server.api.surface import Surface
from fhir_server.engine.booking import Wanted
from fhir_server.engine.call import Call
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.smart.access import may_read

Do: TypeAlias = Callable[[], Awaitable[Response]]
Given: TypeAlias = Sequence[tuple[str, Json]]

_MOST_BYTES = 256 * 1024
_DATES = ("valueDateTime", "valueInstant", "valueDate", "valueString")


async def find(surface: Surface, request: Request, call: Call) -> Do:
    """A searchset of proposed Appointments; `start` and `end` bound when they begin."""
    given = await _given(surface, request)
    pairs: list[tuple[str, str]] = []
    for name, one in given:
        match name:
            case "start":
                pairs.append(("start", f"ge{_text(one, *_DATES)}"))
            case "end":
                pairs.append(("start", f"lt{_text(one, *_DATES)}"))
            case "practitioner" | "location" | "healthcare-service":
                pairs.append(("schedule.actor", _reference(one)))
            case "specialty" | "service-type" | "appointment-type":
                pairs.append((name, _token(one)))
            case _:
                known = "start, end, practitioner, location, healthcare-service, specialty, service-type"
                raise InvalidRequestError(f"$find has the parameters {known}, appointment-type.")

    async def do() -> Response:
        proposals = await surface.booking.find(call, Wanted(tuple(pairs)))
        entries = [{"resource": one, "search": {"mode": "match"}} for one in proposals]
        bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return outgoing.json_answer({**bundle, "entry": entries} if entries else bundle)

    return do


async def hold(surface: Surface, request: Request, call: Call) -> Do:
    given = dict(await _given(surface, request))
    reference = _reference(given.get("appointment-reference", {}))

    async def do() -> Response:
        return _told(surface, call, await surface.booking.hold(call, reference))

    return do


async def book(surface: Surface, request: Request, call: Call) -> Do:
    """Of a proposal or a hold by reference, or of a whole Appointment; one that says `cancelled` cancels."""
    given = dict(await _given(surface, request))
    patient = _reference(given["patient-reference"]) if "patient-reference" in given else ""
    resource = given.get("appointment-resource", {}).get("resource")
    if resource is None:
        asked: str | Json = _reference(given.get("appointment-reference", {}))
    elif isinstance(resource, dict) and resource.get("resourceType") == "Appointment":
        asked = resource
    else:
        raise InvalidRequestError("The parameter appointment-resource holds no Appointment.")

    async def do() -> Response:
        if isinstance(asked, dict) and asked.get("status") == "cancelled":
            cancelling = replace(call, operation="cancel")
            return _told(surface, call, await surface.booking.cancel(cancelling, f"Appointment/{asked.get('id', '')}"))
        return _told(surface, call, await surface.booking.book(call, asked, patient))

    return do


async def cancel(surface: Surface, request: Request, call: Call) -> Do:
    await _given(surface, request)

    async def do() -> Response:
        return _told(surface, call, await surface.booking.cancel(call, f"Appointment/{call.id}"))

    return do


def _told(surface: Surface, call: Call, stored: Stored) -> Response:
    """The Appointment, to who may read it; where it is, to everybody."""
    if may_read(call, stored):
        return outgoing.resource(stored)
    return Response(status_code=204, headers={"Location": outgoing.location(stored, surface.base)})


async def _given(surface: Surface, request: Request) -> Given:
    """Parameters of the body, or of the URL as strings. Raises InvalidRequestError."""
    pairs: list[tuple[str, Json]] = [(name, {"valueString": value}) for name, value in query_pairs(request)]
    if request.method == "GET" or not int(request.headers.get("content-length") or 0):
        return pairs
    body = await json_body(request, min(_MOST_BYTES, surface.most_body))
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise InvalidRequestError("The operation takes Parameters.")
    for one in body.get("parameter", []):
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise InvalidRequestError("Each entry of Parameters.parameter has a name.")
        pairs.append((one["name"], one))
    return pairs


def _text(one: Json, *members: str) -> str:
    for member in members:
        if isinstance(one.get(member), str):
            return str(one[member])
    raise InvalidRequestError("A parameter has no value of its type.")


def _reference(one: Json) -> str:
    reference = one.get("valueReference", {})
    found = reference.get("reference") if isinstance(reference, dict) else None
    return found if isinstance(found, str) else _text(one, "valueString", "valueUri")


def _token(one: Json) -> str:
    """`system|code` of a coding, or as a string says it."""
    concept = one.get("valueCodeableConcept", {})
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    coding = one.get("valueCoding") or (codings[0] if codings else None)
    if isinstance(coding, dict) and coding.get("code"):
        return f"{coding['system']}|{coding['code']}" if coding.get("system") else str(coding["code"])
    return _text(one, "valueCode", "valueString")
