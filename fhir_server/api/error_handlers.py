"""The one way out for failures: every one becomes an OperationOutcome, and none says what it should not.

https://hl7.org/fhir/R4/http.html#Status-Codes; RFC 6750 section 3; RFC 9449 section 7.1.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.fhir.capability import PATCH_FORMATS
from fhir_server.kernel import json
from fhir_server.kernel.errors import (
    EndedTokenError,
    FhirError,
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    RangeNotSatisfiableError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedMediaTypeError,
)
from fhir_server.kernel.unexpected import unexpected

_FAULT = 500


async def fhir_error(request: Request, error: Exception) -> Response:
    """A failure that has a FHIR name."""
    assert isinstance(error, FhirError)
    if error.status == _FAULT:
        return outgoing.outcome(unexpected(error.__cause__ or error))
    return outgoing.outcome(error, _headers(request, error))


def _headers(request: Request, error: FhirError) -> dict[str, str]:
    if isinstance(error, UnauthenticatedError):
        return {"WWW-Authenticate": f'{_scheme(request)} realm="fhir"{_what_was_wrong(request, error)}'}
    if isinstance(error, ForbiddenError):
        return {"WWW-Authenticate": 'Bearer realm="fhir", error="insufficient_scope"'}
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": ", ".join(error.allow)}
    return _more_headers(request, error)


def _more_headers(request: Request, error: FhirError) -> dict[str, str]:
    if isinstance(error, UnsupportedMediaTypeError):
        # RFC 9110 12.5.3 and RFC 5789 3.1: what would have been taken.
        of_patch = {"Accept-Patch": ", ".join(PATCH_FORMATS)} if request.method == "PATCH" else {}
        return {"Accept-Encoding": "gzip"} if "content-encoding" in request.headers else of_patch
    if isinstance(error, RangeNotSatisfiableError):
        return {"Content-Range": f"bytes */{error.length}"}
    if isinstance(error, UnavailableError | TooManyRequestsError):
        return {"Retry-After": "1" if isinstance(error, UnavailableError) else "30"}
    return {}


def _scheme(request: Request) -> str:
    """The one that the caller uses."""
    said = request.headers.get("authorization", "").partition(" ")[0]
    return "DPoP" if said.casefold() == "dpop" else "Bearer"


def _what_was_wrong(request: Request, error: UnauthenticatedError) -> str:
    """RFC 6750 3.1: without credentials no error code; with bad ones invalid_token; RFC 9470: with too weak ones."""
    if isinstance(error, EndedTokenError) and error.stronger:
        return ', error="insufficient_user_authentication"'
    return ', error="invalid_token"' if "authorization" in request.headers else ""


async def http_exception(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: a path that is no route."""
    assert isinstance(error, HTTPException)
    if f"{request.url.path}/".startswith("/auth/"):
        told = {"error": "invalid_request", "error_description": "There is nothing at this address."}
        return Response(json.encode(told), error.status_code, media_type="application/json")
    failure = NotFoundError("There is nothing at this address.")
    failure.status = error.status_code
    return outgoing.outcome(failure)
