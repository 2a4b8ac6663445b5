"""The one way out for failures: every one becomes an OperationOutcome, and none says what it should not.

https://hl7.org/fhir/R4/http.html#Status-Codes; RFC 6750 section 3.
"""

import logging
import traceback

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.kernel.errors import (
    FhirError,
    ForbiddenError,
    Issue,
    MethodNotAllowedError,
    NotFoundError,
    RangeNotSatisfiableError,
    UnauthenticatedError,
    UnavailableError,
)
from fhir_server.kernel.identity import random_id

_FAULT = 500

_log = logging.getLogger("fhir_server.faults")


async def fhir_error(request: Request, error: Exception) -> Response:
    """A failure that has a FHIR name."""
    assert isinstance(error, FhirError)
    if error.status == _FAULT:
        return unexpected(error.__cause__ or error)
    return outgoing.outcome(error, _headers(request, error))


def _headers(request: Request, error: FhirError) -> dict[str, str]:
    if isinstance(error, UnauthenticatedError):
        # RFC 6750 3.1: without credentials no error code; with bad ones invalid_token.
        refused = ', error="invalid_token"' if "authorization" in request.headers else ""
        return {"WWW-Authenticate": f'Bearer realm="fhir"{refused}'}
    if isinstance(error, ForbiddenError):
        return {"WWW-Authenticate": 'Bearer realm="fhir", error="insufficient_scope"'}
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": ", ".join(error.allow)}
    if isinstance(error, RangeNotSatisfiableError):
        return {"Content-Range": f"bytes */{error.length}"}
    if isinstance(error, UnavailableError):
        return {"Retry-After": "1"}
    return {}


async def http_exception(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: a path that is no route."""
    assert isinstance(error, HTTPException)
    failure = NotFoundError("There is nothing at this address.")
    failure.status = error.status_code
    return outgoing.outcome(failure)


def unexpected(error: BaseException) -> Response:
    """A fault of ours: the client gets a reference, the log the place; the message stays unsaid, it may quote data."""
    reference = random_id()
    frames = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in reversed(traceback.extract_tb(error.__traceback__)[-12:])
    )
    _log.error("fault %s: %s at %s", reference, type(error).__name__, frames)
    failure = FhirError(issues=[Issue("exception", f"An unexpected fault. Reference: {reference}")])
    return outgoing.outcome(failure)
