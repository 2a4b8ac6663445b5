"""The whole REST surface as a table, and the two stages that each call passes: understood, then done.

https://hl7.org/fhir/R4/http.html
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fhir_server.api import (
    accounting,
    binaries,
    booking,
    capture_sessions,
    conditions,
    consents,
    copies,
    erasing,
    everything,
    exports,
    histories,
    imports,
    injectables,
    instances,
    log_routes,
    matching,
    photo_operations,
    rights,
    searches,
    subscription_events,
    summaries,
    systems,
    uploads,
    validate,
)
from fhir_server.api.assembled import Streamed
from fhir_server.api.error_handlers import fhir_error
from fhir_server.api.formats import require_json_answer
from fhir_server.api.incoming import authenticated, call_of, require_target
from fhir_server.api.oauth_messages import document
from fhir_server.api.presentation import presented
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Interaction
from fhir_server.kernel.errors import FhirError, MethodNotAllowedError, NotFoundError
from fhir_server.smart.rights import purpose_of

Do: TypeAlias = Callable[[], Awaitable[Response]]
Understand: TypeAlias = Callable[[Surface, Request, Call], Awaitable[Do]]
Methods: TypeAlias = Mapping[str, tuple[Interaction, Understand]]

TABLE: Mapping[str, Methods] = {
    "/fhir": {
        "GET": (Interaction.SEARCH_SYSTEM, searches.search),
        "POST": (Interaction.TRANSACTION, systems.bundle),
    },
    "/fhir/_search": {"POST": (Interaction.SEARCH_SYSTEM, searches.search_by_post)},
    "/fhir/_history": {"GET": (Interaction.HISTORY_SYSTEM, histories.history)},
    "/fhir/$export": {
        "GET": (Interaction.OPERATION, exports.kick_off),
        "POST": (Interaction.OPERATION, exports.kick_off),
    },
    "/fhir/$import": {"POST": (Interaction.OPERATION, imports.take)},
    "/fhir/Patient/$export": {
        "GET": (Interaction.OPERATION, exports.kick_off),
        "POST": (Interaction.OPERATION, exports.kick_off),
    },
    "/fhir/Group/{id}/$export": {
        "GET": (Interaction.OPERATION, exports.kick_off),
        "POST": (Interaction.OPERATION, exports.kick_off),
    },
    "/fhir/$export-status/{job}": {
        "GET": (Interaction.OPERATION, exports.status),
        "DELETE": (Interaction.OPERATION, exports.end),
    },
    "/fhir/$export-file/{job}/{file}": {"GET": (Interaction.OPERATION, exports.file)},
    "/fhir/$compliance-report": {"GET": (Interaction.OPERATION, accounting.compliance_report)},
    "/fhir/$regulator-export": {"GET": (Interaction.OPERATION, accounting.regulator_export)},
    "/fhir/Task/{id}/$breach-scope": {"GET": (Interaction.OPERATION, accounting.breach_scope)},
    "/fhir/Task/{id}/$breach-notification": {"GET": (Interaction.OPERATION, accounting.breach_notification)},
    "/fhir/Task/{id}/$breach-letters": {"POST": (Interaction.OPERATION, accounting.breach_letters)},
    "/fhir/metadata": {"GET": (Interaction.CAPABILITIES, systems.capabilities)},
    "/fhir/{type}/_history": {"GET": (Interaction.HISTORY_TYPE, histories.history)},
    "/fhir/{type}/_search": {"POST": (Interaction.SEARCH_TYPE, searches.search_by_post)},
    "/fhir/{type}/$validate": {"POST": (Interaction.OPERATION, validate.validate)},
    "/fhir/{type}/{id}/$validate": {
        "GET": (Interaction.OPERATION, validate.validate_stored),
        "POST": (Interaction.OPERATION, validate.validate),
    },
    "/fhir/Appointment/$find": {
        "GET": (Interaction.OPERATION, booking.find),
        "POST": (Interaction.OPERATION, booking.find),
    },
    "/fhir/Appointment/$hold": {"POST": (Interaction.OPERATION, booking.hold)},
    "/fhir/Appointment/$book": {"POST": (Interaction.OPERATION, booking.book)},
    "/fhir/Appointment/{id}/$cancel": {"POST": (Interaction.OPERATION, booking.cancel)},
    "/fhir/Patient/$match": {"POST": (Interaction.OPERATION, matching.match_patient)},
    "/fhir/Patient/{id}/$everything": {
        "GET": (Interaction.OPERATION, everything.patient_everything),
        "POST": (Interaction.OPERATION, everything.patient_everything),
    },
    "/fhir/Patient/$summary": {
        "GET": (Interaction.OPERATION, summaries.summary),
        "POST": (Interaction.OPERATION, summaries.summary),
    },
    "/fhir/Patient/{id}/$summary": {
        "GET": (Interaction.OPERATION, summaries.summary),
        "POST": (Interaction.OPERATION, summaries.summary),
    },
    "/fhir/Subscription/{id}/$events": {"GET": (Interaction.OPERATION, subscription_events.since)},
    "/fhir/Consent/$sign": {"POST": (Interaction.OPERATION, consents.sign)},
    "/fhir/Consent/$decide": {"GET": (Interaction.OPERATION, consents.decide)},
    "/fhir/Consent/$consent-periods": {"GET": (Interaction.OPERATION, consents.periods)},
    "/fhir/Consent/{id}/$withdraw": {"POST": (Interaction.OPERATION, consents.withdraw_consent)},
    "/fhir/Patient/{id}/$break-glass": {"POST": (Interaction.OPERATION, systems.break_glass)},
    "/fhir/AuditEvent/$proof": {"GET": (Interaction.OPERATION, log_routes.proof_of_growth)},
    "/fhir/AuditEvent/{id}/$proof": {"GET": (Interaction.OPERATION, log_routes.proof_of_event)},
    "/fhir/Patient/{id}/$access-log": {"GET": (Interaction.OPERATION, log_routes.access_log)},
    "/fhir/Medication/$lot-patients": {"GET": (Interaction.OPERATION, injectables.lot_patients)},
    "/fhir/Medication/$lot-recall": {"POST": (Interaction.OPERATION, injectables.lot_recall)},
    "/fhir/Patient/{id}/$lots": {"GET": (Interaction.OPERATION, injectables.lots_of_patient)},
    "/fhir/Procedure/{id}/$insurance-check": {"GET": (Interaction.OPERATION, injectables.insurance_check)},
    "/fhir/Procedure/{id}/$evidence-pack": {"POST": (Interaction.OPERATION, injectables.evidence_pack)},
    "/fhir/Media/$timeline": {"GET": (Interaction.OPERATION, photo_operations.in_order)},
    "/fhir/Media/$capture-session": {"POST": (Interaction.OPERATION, capture_sessions.begin)},
    "/fhir/Media/{id}/$rendition": {"POST": (Interaction.OPERATION, photo_operations.rendition)},
    "/fhir/Media/{id}/$compare": {"POST": (Interaction.OPERATION, photo_operations.compare)},
    "/fhir/Media/{id}/$reassign": {"POST": (Interaction.OPERATION, photo_operations.reassign)},
    "/fhir/Media/{id}/$share": {"POST": (Interaction.OPERATION, photo_operations.share)},
    "/fhir/Media/{id}/$upload": {
        "GET": (Interaction.OPERATION, uploads.state),
        "POST": (Interaction.OPERATION, uploads.begin),
        "PATCH": (Interaction.OPERATION, uploads.append),
        "DELETE": (Interaction.OPERATION, uploads.cancel),
    },
    "/fhir/Binary": {
        "GET": (Interaction.SEARCH_TYPE, searches.search),
        "POST": (Interaction.CREATE, uploads.create_binary),
        "PUT": (Interaction.UPDATE, conditions.update),
        "PATCH": (Interaction.PATCH, conditions.patch),
        "DELETE": (Interaction.DELETE, conditions.delete),
    },
    "/fhir/Patient/{id}/$erase": {"POST": (Interaction.OPERATION, erasing.erase)},
    "/fhir/Patient/{id}/$export-my-data": {"GET": (Interaction.OPERATION, copies.export_my_data)},
    "/fhir/Patient/{id}/$rights-request": {"POST": (Interaction.OPERATION, rights.open_request)},
    "/fhir/Task/{id}/$rights-step": {"POST": (Interaction.OPERATION, rights.take_step)},
    "/fhir/Task/{id}/$fulfil": {"POST": (Interaction.OPERATION, rights.fulfil)},
    "/fhir/Binary/{id}": {
        "GET": (Interaction.READ, binaries.read_binary),
        "PUT": (Interaction.UPDATE, instances.update),
        "PATCH": (Interaction.PATCH, instances.patch),
        "DELETE": (Interaction.DELETE, instances.delete),
    },
    "/fhir/{type}/{id}/_history": {"GET": (Interaction.HISTORY_INSTANCE, histories.history)},
    "/fhir/{type}/{id}/_history/{version}": {"GET": (Interaction.VREAD, instances.read)},
    "/fhir/{type}/{id}/{member}": {"GET": (Interaction.SEARCH_TYPE, searches.search)},
    "/fhir/{type}/{id}/{member}/_search": {"POST": (Interaction.SEARCH_TYPE, searches.search_by_post)},
    "/fhir/{type}/{id}": {
        "GET": (Interaction.READ, instances.read),
        "PUT": (Interaction.UPDATE, instances.update),
        "PATCH": (Interaction.PATCH, instances.patch),
        "DELETE": (Interaction.DELETE, instances.delete),
    },
    "/fhir/{type}": {
        "GET": (Interaction.SEARCH_TYPE, searches.search),
        "POST": (Interaction.CREATE, instances.create),
        "PUT": (Interaction.UPDATE, conditions.update),
        "PATCH": (Interaction.PATCH, conditions.patch),
        "DELETE": (Interaction.DELETE, conditions.delete),
    },
}
"""Rows whose parts are literal stand before those with a name in braces in the same place."""

_TRIED: Mapping[str, Interaction] = {
    "POST": Interaction.CREATE,
    "PUT": Interaction.UPDATE,
    "PATCH": Interaction.PATCH,
    "DELETE": Interaction.DELETE,
}
"""As what a method is recorded that its address does not serve."""

_OPEN = frozenset({Interaction.CAPABILITIES})
"""What is answered without a token: a description of the server, nothing of the clinic (R-SMART-010)."""

_NATIVE = frozenset(
    {
        *(binaries.read_binary, copies.export_my_data, exports.file),
        *(injectables.evidence_pack, accounting.regulator_export),
    }
)
"""What may answer in another format than FHIR's JSON."""

_PACKED = _NATIVE - {exports.file}
"""What is mostly packed already, and would only grow by it."""


_MEMBER = re.compile(r"[A-Z*]")
"""What may be searched in a compartment begins like a type, or is all of it."""


class _Place:
    """A row of the table, taken apart once. What an address says literally is told like what stands in its braces."""

    def __init__(self, path: str, methods: Methods) -> None:
        parts = path.split("/")[2:]
        self.methods = methods
        self.length = len(parts)
        self._literal = [(index, part) for index, part in enumerate(parts) if part[0] != "{"]
        self._named = [(index, part[1:-1]) for index, part in enumerate(parts) if part[0] == "{"]
        self._said = {"type": parts[0]} if parts and parts[0][0].isupper() else {}
        if parts and parts[-1][0] == "$":
            self._said["operation"] = parts[-1][1:]
        with_head = {"HEAD"} if "GET" in methods else set[str]()
        self.allowed = tuple(sorted({*methods, *with_head, "OPTIONS"}))

    def parameters(self, parts: Sequence[str]) -> dict[str, str] | None:
        """What an address of this length says here; None where it does not fit."""
        for index, literal in self._literal:
            if parts[index] != literal:
                return None
        found = dict(self._said)
        for index, name in self._named:
            found[name] = parts[index]
        if not all(found.values()) or not _MEMBER.match(found.get("member", "*")):
            return None
        return found

    def served(self, method: str) -> tuple[Interaction, Understand] | None:
        return self.methods.get("GET" if method == "HEAD" else method)


_NOWHERE = _Place("/fhir/no/address", {"GET": (Interaction.READ, instances.read)})
"""404, and recorded like any other refusal."""


class Dispatch:
    """Everything under /fhir, as plain ASGI: nothing stands between the socket and the answer but this table.

    `documents`: what says the same to everybody and is no interaction, by path (`/fhir/.well-known/…`).
    """

    def __init__(self, surface: Surface, documents: Mapping[str, bytes]) -> None:
        self._surface, self._documents = surface, documents
        self._by_length: dict[int, list[_Place]] = {}
        for path, methods in TABLE.items():
            place = _Place(path, methods)
            self._by_length.setdefault(place.length, []).append(place)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self._documents and scope["method"] in {"GET", "HEAD"}:
            await document(self._documents[scope["path"]])(scope, receive, send)
            return
        place, scope["path_params"] = self._place(scope["path"].split("/")[2:])
        request = Request(scope, receive)
        try:
            response = await _answer(self._surface, request, place)
        except FhirError as failure:
            response = await fhir_error(request, failure)
        served = place.served(request.method)
        response = await presented(request, response, may_pack=served is None or served[1] not in _PACKED)
        await response(scope, receive, send)

    def _place(self, parts: Sequence[str]) -> tuple[_Place, dict[str, str]]:
        for place in self._by_length.get(len(parts), ()):
            if (found := place.parameters(parts)) is not None:
                return place, found
        return _NOWHERE, {}


async def _answer(surface: Surface, request: Request, place: _Place) -> Response:
    found = place.served(request.method)
    interaction, understand = found or (_TRIED.get(request.method, Interaction.READ), instances.read)
    call = call_of(request, interaction, surface.clock)
    try:
        if request.method == "OPTIONS" and place is not _NOWHERE:
            require_target(request, call)
            return Response(status_code=204, headers={"Allow": ", ".join(place.allowed)})
        if interaction not in _OPEN:
            principal = await authenticated(request, surface.possession.authenticate, surface.clock, surface.base)
            call = replace(call, principal=principal, purpose=purpose_of(principal) or call.purpose)
        require_target(request, call)
        _require_served(request.method, place, is_served=found is not None)
        if understand not in _NATIVE:
            require_json_answer(request)
        do = await understand(surface, request, call)
    except Exception as failure:
        await surface.engine.refused(call, failure if isinstance(failure, FhirError) else FhirError())
        raise
    response = await do()
    if isinstance(response, Streamed) and request.method != "HEAD":
        try:
            await response.begin()
        except FhirError as failure:
            await surface.engine.refused(call, failure)
            raise
    return response


def _require_served(method: str, place: _Place, *, is_served: bool) -> None:
    if place is _NOWHERE:
        raise NotFoundError("There is nothing at this address.")
    if not is_served:
        raise MethodNotAllowedError(f"{method} is not served at this address.", allow=place.allowed)
