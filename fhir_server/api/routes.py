"""The whole REST surface as a table, and the two stages that each call passes: understood, then done.

https://hl7.org/fhir/R4/http.html
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fhir_server.api import conditions, histories, instances, photos, searches, systems
from fhir_server.api.error_handlers import fhir_error
from fhir_server.api.incoming import authenticated, call_of, require_json_answer, require_target
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Interaction
from fhir_server.kernel.errors import FhirError, MethodNotAllowedError, NotFoundError

Do: TypeAlias = Callable[[], Awaitable[Response]]
Understand: TypeAlias = Callable[[Surface, Request, Call], Awaitable[Do]]
Methods: TypeAlias = Mapping[str, tuple[Interaction, Understand]]

_ELSEWHERE = "/fhir/elsewhere/than/any/address/of/ours"
"""No address of ours: 404, and recorded like any other refusal."""

_TABLE: Mapping[str, Methods] = {
    "/fhir": {
        "GET": (Interaction.SEARCH_SYSTEM, searches.search),
        "POST": (Interaction.TRANSACTION, systems.bundle),
    },
    "/fhir/_search": {"POST": (Interaction.SEARCH_SYSTEM, searches.search_by_post)},
    "/fhir/_history": {"GET": (Interaction.HISTORY_SYSTEM, histories.history)},
    "/fhir/metadata": {"GET": (Interaction.CAPABILITIES, systems.capabilities)},
    "/fhir/{type}/_search": {"POST": (Interaction.SEARCH_TYPE, searches.search_by_post)},
    "/fhir/Consent/{id}/$withdraw": {"POST": (Interaction.OPERATION, systems.withdraw_consent)},
    "/fhir/Binary/{id}": {
        "GET": (Interaction.READ, photos.read_binary),
        "PUT": (Interaction.UPDATE, instances.update),
        "PATCH": (Interaction.PATCH, instances.patch),
        "DELETE": (Interaction.DELETE, instances.delete),
    },
    "/fhir/{type}/_history": {"GET": (Interaction.HISTORY_TYPE, histories.history)},
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
    _ELSEWHERE: {"GET": (Interaction.READ, instances.read)},
}
_TRIED: Mapping[str, Interaction] = {
    "POST": Interaction.CREATE,
    "PUT": Interaction.UPDATE,
    "PATCH": Interaction.PATCH,
    "DELETE": Interaction.DELETE,
}
"""As what a method is recorded that its address does not serve."""

_OPEN = frozenset({Interaction.CAPABILITIES})
"""What is answered without a token: a description of the server, nothing of the clinic (R-SMART-010)."""

_NATIVE = frozenset({photos.read_binary})
"""What may answer in another format than JSON."""


class Dispatch:
    """Everything under /fhir, as plain ASGI: nothing stands between the socket and the answer but this table."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._by_length: dict[int, list[tuple[tuple[str, ...], str]]] = {}
        for path in _TABLE:
            parts = tuple(path.split("/")[2:])
            self._by_length.setdefault(len(parts), []).append((parts, path))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, parameters = self._place(scope["path"].split("/")[2:])
        scope["path_params"] = parameters
        request = Request(scope, receive)
        try:
            response = await _answer(self._surface, request, path, _TABLE[path])
        except FhirError as failure:
            response = await fhir_error(request, failure)
        await response(scope, receive, send)

    def _place(self, parts: Sequence[str]) -> tuple[str, dict[str, str]]:
        """The row of the table that fits, and what stands in its braces. Rows without braces come before those with."""
        for pattern, path in self._by_length.get(len(parts), ()):
            if all(wanted == part or (wanted[0] == "{" and part) for wanted, part in zip(pattern, parts, strict=True)):
                found = zip(pattern, parts, strict=True)
                return path, {wanted[1:-1]: part for wanted, part in found if wanted[0] == "{"}
        return _ELSEWHERE, {}


async def _answer(surface: Surface, request: Request, path: str, methods: Methods) -> Response:
    found = methods.get("GET" if request.method == "HEAD" else request.method)
    interaction, understand = found or (_TRIED.get(request.method, Interaction.READ), next(iter(methods.values()))[1])
    call = call_of(request, interaction, surface.clock)
    if path.startswith("/fhir/Consent/"):
        call = replace(call, type="Consent", operation="withdraw")
    elif path.startswith("/fhir/Binary/"):
        call = replace(call, type="Binary")
    try:
        if interaction not in _OPEN:
            call = replace(call, principal=authenticated(request, surface.bearer.authenticate, surface.clock))
        require_target(request, call)
        _require_served(path, request.method, methods)
        if understand not in _NATIVE:
            require_json_answer(request)
        do = await understand(surface, request, call)
    except Exception as failure:
        await surface.engine.refused(call, failure if isinstance(failure, FhirError) else FhirError())
        raise
    return await do()


def _require_served(path: str, method: str, methods: Methods) -> None:
    if path == _ELSEWHERE:
        raise NotFoundError("There is nothing at this address.")
    if method not in methods and (method != "HEAD" or "GET" not in methods):
        raise MethodNotAllowedError(f"{method} is not served at this address.", allow=sorted(methods))
