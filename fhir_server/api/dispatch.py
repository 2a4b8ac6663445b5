"""From an address to its answer: the row of the table, then the two stages of each call: understood, and done.

https://hl7.org/fhir/R4/http.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fhir_server.api import instances
from fhir_server.api.assembled import Streamed
from fhir_server.api.error_handlers import fhir_error
from fhir_server.api.formats import require_json_answer
from fhir_server.api.incoming import authenticated, call_of, require_target
from fhir_server.api.metrics import note
from fhir_server.api.oauth_messages import document
from fhir_server.api.presentation import presented
from fhir_server.api.routes import NATIVE, OPEN, PACKED, TABLE, Methods, Understand
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Interaction
from fhir_server.kernel.errors import FhirError, MethodNotAllowedError, NotFoundError
from fhir_server.smart.rights import purpose_of

_TRIED: Mapping[str, Interaction] = {
    "POST": Interaction.CREATE,
    "PUT": Interaction.UPDATE,
    "PATCH": Interaction.PATCH,
    "DELETE": Interaction.DELETE,
}
"""As what a method is recorded that its address does not serve."""


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
        response = await presented(request, response, may_pack=served is None or served[1] not in PACKED)
        await response(scope, receive, send)

    def _place(self, parts: Sequence[str]) -> tuple[_Place, dict[str, str]]:
        for place in self._by_length.get(len(parts), ()):
            if (found := place.parameters(parts)) is not None:
                return place, found
        return _NOWHERE, {}


async def _answer(surface: Surface, request: Request, place: _Place) -> Response:
    found = place.served(request.method)
    interaction, understand = found or (_TRIED.get(request.method, Interaction.READ), instances.read)
    note(request.scope, interaction.value)
    call = call_of(request, interaction, surface.clock)
    try:
        if request.method == "OPTIONS" and place is not _NOWHERE:
            require_target(request, call)
            return Response(status_code=204, headers={"Allow": ", ".join(place.allowed)})
        if interaction not in OPEN:
            principal = await authenticated(request, surface.possession.authenticate, surface.clock, surface.base)
            call = replace(call, principal=principal, purpose=purpose_of(principal) or call.purpose)
        require_target(request, call)
        _require_served(request.method, place, is_served=found is not None)
        if understand not in NATIVE:
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
