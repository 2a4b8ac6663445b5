"""The cookies of the pages: unreadable for scripts, never sent along from another site's form.

RFC 6265bis section 4.1.3.2 (`__Host-`: set by this very host, over TLS); SameSite=Lax lets a client's redirect arrive.
"""

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.smart.signin.devices import LIFETIME
from fhir_server.smart.signin.sessions import BEGUN_FOR

SESSION, BEGUN, VISIT, DEVICE, LANGUAGE = "session", "begun", "visit", "device", "language"
"""A sign-in; one that lacks a factor; a browser without either; a browser that is known; a choice of language."""

_LONGEST = 200
_KEPT = {BEGUN: int(BEGUN_FOR.total_seconds()), DEVICE: int(LIFETIME.total_seconds()), LANGUAGE: 31_536_000}
"""Seconds. The others end with the browser, or sooner: the server knows."""


class Cookies:
    def __init__(self, *, secure: bool) -> None:
        self._secure = secure

    def read(self, request: Request, name: str) -> str | None:
        value = request.cookies.get(self._named(name))
        return value if value and len(value) <= _LONGEST else None

    def write(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(
            self._named(name),
            value,
            max_age=_KEPT.get(name),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def drop(self, response: Response, name: str) -> None:
        response.delete_cookie(self._named(name), path="/", secure=self._secure, httponly=True, samesite="lax")

    def _named(self, name: str) -> str:
        return f"__Host-{name}" if self._secure else name
