"""Bytes in their own format over HTTP: whole, by range, by HEAD, or not at all where the client has them.

RFC 9110 sections 13 (conditions) and 14 (ranges); https://hl7.org/fhir/R4/binary.html#rest
"""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api.assembled import Streamed
from fhir_server.kernel.errors import RangeNotSatisfiableError

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,127}"  # noqa: S105  RFC 9110's word for a word
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?: ?; ?{_TOKEN}=(?:{_TOKEN}|\"[ !#-\[\]-~]{{0,127}}\"))*", re.ASCII)
_UNKNOWN_TYPE = "application/octet-stream"
_FOR_A_HEADER = re.compile(r"[\x21-\x7e]{1,2000}", re.ASCII)
_WHOLE, _PART, _NOT_MODIFIED = 200, 206, 304
_LESS = frozenset({"range", "if-none-match", "if-modified-since"})


@dataclass(frozen=True, slots=True)
class Content:
    """`tag` is the opaque part of a strong ETag. `stream(start, stop)` gives the bytes; `context` a reference, or "".

    `inline`: may a browser show it? Only where this server knows what it is.
    """

    media_type: str
    length: int
    tag: str
    last_modified: datetime
    stream: Callable[[int, int], AsyncIterator[bytes]]
    context: str = ""
    inline: bool = False


def wants_all(request: Request) -> bool:
    """Will it be sent from its first byte on, as far as the request tells?"""
    return request.method == "GET" and _LESS.isdisjoint(request.headers.keys())


def content_answer(request: Request, content: Content) -> Response:
    """200, 206 or 304. Raises RangeNotSatisfiableError."""
    headers = _headers(content)
    if _has_it(request, content):
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    start, stop = _range(_asked_range(request, content), content.length)
    headers["Content-Type"] = content.media_type if _MEDIA_TYPE.fullmatch(content.media_type) else _UNKNOWN_TYPE
    if (start, stop) == (0, content.length):
        return Streamed(content.stream(start, stop), content.length, _WHOLE, headers)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{content.length}"
    return Streamed(content.stream(start, stop), stop - start, _PART, headers)


def _headers(content: Content) -> dict[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": "inline" if content.inline else "attachment",
        "ETag": f'"{content.tag}"',
        "Last-Modified": _date(content),
        "Vary": "Accept",
    }
    # What a client stored becomes a header only where it cannot become two.
    if _FOR_A_HEADER.fullmatch(content.context):
        headers["X-Security-Context"] = content.context
    return headers


def _date(content: Content) -> str:
    return format_datetime(content.last_modified, usegmt=True)


def _has_it(request: Request, content: Content) -> bool:
    """If-None-Match compares weakly; If-Modified-Since counts only without it, and only as a date."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or content.tag in {
            tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")
        }
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
        return content.last_modified.replace(microsecond=0) <= since
    except (ValueError, TypeError):
        return False


def _asked_range(request: Request, content: Content) -> str | None:
    """A range is of the very bytes that the client has a part of, else it would join two different wholes."""
    validator = request.headers.get("if-range")
    if validator is not None and validator.strip() not in {f'"{content.tag}"', _date(content)}:
        return None
    return request.headers.get("range")


def _range(asked: str | None, length: int) -> tuple[int, int]:
    """First byte, and the one after the last. What is not one range of bytes is ignored, as RFC 9110 has it."""
    found = _RANGE.fullmatch(asked.strip()) if asked else None
    if found is None or found[1] == found[2] == "":
        return 0, length
    if found[1] == "":
        start, stop = max(0, length - int(found[2])), length
    else:
        start, stop = int(found[1]), min(int(found[2]) + 1, length) if found[2] else length
    if found[1] and found[2] and int(found[1]) > int(found[2]):
        return 0, length
    if start >= length or start >= stop:
        raise RangeNotSatisfiableError(length)
    return start, stop
