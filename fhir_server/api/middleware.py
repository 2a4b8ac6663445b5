"""What holds for every answer, as plain ASGI: a request id, no caching, trailing slashes, HSTS, CORS.

R-FHIR-005: a redirect would lose the Authorization header in many clients, so a final slash is dropped instead.
"""

import logging
from collections.abc import Callable
from time import perf_counter

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhir_server.api import outgoing
from fhir_server.api.cors import Cors, Headers
from fhir_server.api.incoming import request_id_of
from fhir_server.api.metrics import Metrics
from fhir_server.kernel.unexpected import place_of, unexpected

_log = logging.getLogger("fhir_server.requests")

_ALWAYS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Envelope:
    """Outermost. What an answer says by itself of the headers below stands: a page has a policy of its own.

    At level debug it logs method, status and time; never a path or a query, which may name somebody.

    `fhir` gives the application for what lies under /fhir, once the clinic is open.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hsts: bool,
        metrics: Metrics,
        fhir: Callable[[], ASGIApp | None],
        cors: Callable[[], Cors | None],
    ) -> None:
        self._app, self._metrics, self._fhir, self._cors = app, metrics, fhir, cors
        self._always = [*_ALWAYS, _HSTS] if hsts else _ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._metrics.is_asked(scope):
            await self._metrics(scope, receive, send)
            return
        self._metrics.under_way += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self._metrics.under_way -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope = {**scope, "path": path.rstrip("/"), "raw_path": scope.get("raw_path", b"").rstrip(b"/")}
        request_id = request_id_of(_header(scope, b"x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        began, started = perf_counter(), False
        shared = await self._shared(scope)

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                said = {name for name, _ in message["headers"]}
                missing = [header for header in self._always if header[0] not in said]
                own = (b"x-request-id", request_id.encode())
                message["headers"] = [*message["headers"], *missing, *shared, own]
                spent = perf_counter() - began
                self._metrics.answered(scope, message["status"], spent)
                if _log.isEnabledFor(logging.DEBUG):
                    _log.debug("%s %s %.1f ms %s", scope["method"], message["status"], spent * 1000, request_id)
            await send(message)

        try:
            if _is_preflight(scope):
                await Response(status_code=204)(scope, receive, sending)
                return
            path = scope["path"]
            fhir = self._fhir() if path == "/fhir" or path.startswith("/fhir/") else None
            await (fhir or self._app)(scope, receive, sending)
        except Exception as error:  # noqa: BLE001  handled here, before a framework writes its message to a log
            if started:
                # A stream that was cut: the connection ends without its last byte, which the client notices.
                _log.warning("cut %s: %s at %s", request_id, type(error).__name__, place_of(error))
                return
            await outgoing.outcome(unexpected(error))(scope, receive, sending)

    async def _shared(self, scope: Scope) -> Headers:
        """What a browser on a page of another origin is told; nothing where none is there."""
        origin, cors = _header(scope, b"origin"), self._cors()
        if origin is None or cors is None:
            return []
        return await cors.headers(scope["path"], origin, preflight=_is_preflight(scope))


def _is_preflight(scope: Scope) -> bool:
    """Answered without a token, and without asking what it is about."""
    return scope["method"] == "OPTIONS" and _header(scope, b"access-control-request-method") is not None


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return None
