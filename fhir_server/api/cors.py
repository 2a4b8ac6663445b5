"""Which pages of other origins a browser lets read our answers: of descriptions all, else those of registered clients.

https://fetch.spec.whatwg.org/#http-cors-protocol; R-SMART-086, -087. Cookies are never allowed along, so nothing is
opened by this to anybody who has no token.
"""

from fhir_server.smart.origins import Origins

Headers = list[tuple[bytes, bytes]]

_OPEN = frozenset(
    {
        "/fhir/metadata",
        "/fhir/.well-known/smart-configuration",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/auth/jwks",
        "/auth/style.json",
    }
)
_REGISTERED = frozenset({"/auth/token", "/auth/revoke", "/auth/introspect", "/auth/userinfo"})

_ASKED = (
    "Authorization",
    "DPoP",
    "Content-Type",
    "Accept",
    "If-Match",
    "If-None-Exist",
    "If-None-Match",
    "If-Modified-Since",
    "Prefer",
    "Range",
    "Upload-Complete",
    "Upload-Length",
    "Upload-Offset",
    "X-Request-Id",
    "X-Security-Context",
)
_TOLD = (
    "ETag",
    "Location",
    "Content-Location",
    "Last-Modified",
    "X-Progress",
    "Retry-After",
    "X-Request-Id",
    "WWW-Authenticate",
    "Content-Range",
    "Accept-Ranges",
    "Upload-Complete",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Offset",
)
_ALLOWED: Headers = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    (b"access-control-allow-headers", ", ".join(_ASKED).encode()),
    (b"access-control-max-age", b"600"),
]
_EXPOSED: Headers = [
    (b"access-control-expose-headers", ", ".join(_TOLD).encode()),
]
_VARY = (b"vary", b"Origin")


class Cors:
    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    async def headers(self, path: str, origin: str, *, preflight: bool) -> Headers:
        """What the answer says to a browser on a page of that origin; without permission that it depends on it."""
        more = _ALLOWED if preflight else _EXPOSED
        if path in _OPEN:
            return [(b"access-control-allow-origin", b"*"), *more]
        shared = path in _REGISTERED or path == "/fhir" or path.startswith("/fhir/")
        if shared and await self._origins.allows(origin):
            return [(b"access-control-allow-origin", origin.encode("latin-1")), _VARY, *more]
        return [_VARY] if shared else []
