"""gzip, both ways: a request's body unpacked within its limit, an answer packed where the client asks for it.

RFC 9110 sections 8.4, 12.5.3; RFC 1952.
"""

import asyncio
import zlib
from collections.abc import Iterator
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.kernel.errors import MalformedError, UnsupportedMediaTypeError

_GZIP = 16 + zlib.MAX_WBITS
_NAMES = frozenset({"gzip", "x-gzip"})
_PIECE = 1 << 18
"""How much is unpacked at a time, so that a body of a thousand times its size is noticed long before."""

_LEAST = 1024
MUCH = 1 << 18
"""From here on working through an answer takes milliseconds and is done in a thread."""

_LEVEL = 3
"""Most of what JSON gives, for a third of the time of the usual level."""


def is_packed(request: Request) -> bool:
    """Is the body gzip? 415 for another coding, and for one around another: each would be one more way to a bomb."""
    codings = request.headers.getlist("content-encoding")
    if not codings:
        return False
    named = ",".join(codings).strip().casefold()
    if named in _NAMES:
        return True
    if named in {"identity", ""}:
        return False
    raise UnsupportedMediaTypeError("The Content-Encoding must be gzip, once, or none.")


class Unpacking:
    """One gzip member, fed in parts. Raises MalformedError where it is none, is damaged, or something follows it."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """What a part unpacks to, at most _PIECE at a time, and no more than the caller takes."""
        if self._inflate.eof and part:
            raise MalformedError("Something follows the gzip data.")
        left, full = part, True
        while left or full:
            try:
                piece = self._inflate.decompress(left, _PIECE)
            except zlib.error:
                raise MalformedError("The body is not gzip, though it says so.") from None
            if self._inflate.unused_data:
                raise MalformedError("Something follows the gzip data.")
            left, full = self._inflate.unconsumed_tail, len(piece) == _PIECE
            yield piece

    def require_end(self) -> None:
        if not self._inflate.eof:
            raise MalformedError("The gzip data end too early.")


def takes_gzip(request: Request) -> bool:
    for name, value in request.scope["headers"]:
        if name == b"accept-encoding":
            return _names_gzip(value)
    return False


async def packed(response: Response) -> None:
    """The same answer, smaller; in place. Its tag stays, being weak. Short ones would not gain and stay as they are."""
    body = bytes(response.body)
    if len(body) < _LEAST or "content-encoding" in response.headers:
        return
    small = await asyncio.to_thread(_pack, body) if len(body) >= MUCH else _pack(body)
    response.body = small
    response.headers["content-length"] = str(len(small))
    response.headers["content-encoding"] = "gzip"


def _pack(body: bytes) -> bytes:
    return zlib.compress(body, _LEVEL, _GZIP)


@lru_cache(maxsize=64)
def _names_gzip(header: bytes) -> bool:
    """Named with a weight above nothing; `*` stands for what is not named."""
    weights: dict[str, str] = {}
    for part in header.decode("latin-1").casefold().split(","):
        coding, _, parameter = part.partition(";")
        weights[coding.strip()] = parameter.partition("=")[2].strip() if parameter.strip().startswith("q") else "1"
    asked = next((weights[name] for name in ("gzip", "x-gzip", "*") if name in weights), "0")
    return asked.strip("0.") != ""
