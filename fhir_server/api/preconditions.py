"""Conditional requests: what the client requires of the version that is there.

RFC 9110 section 13; https://hl7.org/fhir/R4/http.html#cread, #concurrency. A condition that an interaction does not
have is refused: a client that sends it would take our ignoring it for its being met.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from starlette.requests import Request

from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import InvalidRequestError, Issue
from fhir_server.kernel.identity import is_version

_ON_WRITES = frozenset({b"if-match", b"if-none-match", b"if-none-exist", b"if-unmodified-since"})
"""If-Modified-Since is about reading; RFC 9110 has it ignored elsewhere."""


def if_match(request: Request) -> int | None:
    """`If-Match: W/"3"` -> 3; None without the header, 400 where it is not one of our tags."""
    tag = request.headers.get("if-match")
    if tag is None:
        return None
    number = tag.strip().removeprefix("W/").strip('"')
    if not is_version(number) or len(request.headers.getlist("if-match")) > 1:
        raise InvalidRequestError('If-Match must name one version: W/"3".')
    return int(number)


def only_new(request: Request) -> bool:
    """`If-None-Match: *` on an update: write only if there is nothing yet. 400 for a tag, which says nothing there."""
    tag = request.headers.get("if-none-match")
    if tag is None:
        return False
    if tag.strip() != "*":
        raise InvalidRequestError("If-None-Match on an update is * and nothing else; to name a version use If-Match.")
    return True


def refuse_conditions(request: Request, *but: bytes) -> None:
    """400 for a condition, other than those in `but`, that this write does not look at."""
    for name, _ in request.scope["headers"]:
        if name in _ON_WRITES and name not in but:
            says = f"{name.decode().title()} is no condition of this interaction."
            raise InvalidRequestError(issues=(Issue("not-supported", says),))


def is_known(request: Request, stored: Stored) -> bool:
    """Has the client this version already? If-None-Match is looked at before If-Modified-Since, and instead of it."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return stored.is_named_by(",".join(request.headers.getlist("if-none-match")))
    since = request.headers.get("if-modified-since")
    return since is not None and _is_unmodified(since, stored.last_updated)


def _is_unmodified(since: str, last_updated: datetime) -> bool:
    """What is no HTTP date is ignored. Such a date has seconds; so has the one that we sent."""
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return last_updated.replace(microsecond=0) <= known
