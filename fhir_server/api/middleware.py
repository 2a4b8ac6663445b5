"""What holds for every answer, as plain ASGI: a request id, no caching, trailing slashes, HSTS.

R-FHIR-005: a redirect would lose the Authorization header in many clients, so a final slash is dropped instead.
"""

import logging
from time import perf_counter

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhir_server.api.error_handlers import unexpected
from fhir_server.api.incoming import request_id_of

_log = logging.getLogger("fhir_server.requests")

_ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Envelope:
    """Outermost. At level debug it logs method, status and time; never a path or a query, which may name somebody."""

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app, self._hsts = app, hsts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope = {**scope, "path": path.rstrip("/"), "raw_path": scope.get("raw_path", b"").rstrip(b"/")}
        request_id = request_id_of(_header(scope, b"x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        began, started = perf_counter(), False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = request_id
                if self._hsts:
                    headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
                if _log.isEnabledFor(logging.DEBUG):
                    spent = (perf_counter() - began) * 1000
                    _log.debug("%s %s %.1f ms %s", scope["method"], message["status"], spent, request_id)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:  # noqa: BLE001  handled here, before a framework writes its message to a log
            if started:
                # A stream that was cut: the connection ends without its last byte, which the client notices.
                _log.info("cut %s: %s", request_id, type(error).__name__)
                return
            await unexpected(error)(scope, receive, sending)


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return None
