"""base64 text and the data it stands for: which of the two is kept, and how one becomes the other a part at a time.

RFC 4648; https://hl7.org/fhir/R4/datatypes.html#base64Binary, which allows blanks and line breaks. Text that is exactly
what encoding its data gives is kept as data, a quarter less. Any other is kept as it came: it could not be made again.
"""

import binascii
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pybase64

from fhir_server.kernel import json

_BLANKS = b" \t\r\n"
_GROUP, _OF_GROUP = 4, 3


@dataclass(frozen=True, slots=True)
class Plain:
    """`content` is to be kept: the data where `decoded`, else the text.

    `size`: bytes of the text inside a JSON string. `length`: bytes of the data. `digest`: SHA-256 of the content.
    """

    content: bytes
    decoded: bool
    size: int
    length: int
    digest: bytes

    @property
    def content_key(self) -> tuple[bool, bytes]:
        """The same for the same text, and for no other."""
        return self.decoded, self.digest

    async def parts(self) -> AsyncIterator[bytes]:
        yield self.content


def plain(text: str) -> Plain:
    """Takes a while for large text: call it in a thread."""
    data = _canonical(text)
    if data is not None:
        return Plain(data, decoded=True, size=len(text), length=len(data), digest=hashlib.sha256(data).digest())
    raw = text.encode()
    letters = raw.translate(None, _BLANKS)
    length = len(letters) // _GROUP * _OF_GROUP - letters[-2:].count(b"=")
    return Plain(
        raw, decoded=False, size=len(json.encode(text)) - 2, length=length, digest=hashlib.sha256(raw).digest()
    )


def _canonical(text: str) -> bytes | None:
    """The data, if encoding it gives this very text; None otherwise."""
    if len(text) % _GROUP or not text.isascii():
        return None
    try:
        # Strict: nothing but the alphabet, and padding at the end alone.
        found = pybase64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    # Bits that the last group has too many would be lost.
    tail = pybase64.b64encode_as_string(found[-(len(found) % _OF_GROUP or _OF_GROUP) :])
    return found if text.endswith(tail) else None


async def encoded(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The text of data that comes in parts of any size."""
    rest = b""
    async for part in data:
        rest += part
        whole = len(rest) // _OF_GROUP * _OF_GROUP
        yield pybase64.b64encode(rest[:whole])
        rest = rest[whole:]
    if rest:
        yield pybase64.b64encode(rest)


async def escaped(text: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Text as it stands inside a JSON string. It is ASCII, so any part of it is text."""
    async for part in text:
        yield json.encode(part.decode())[1:-1]


async def decoded(text: AsyncIterator[bytes], start: int, stop: int) -> AsyncIterator[bytes]:
    """The data from `start` up to `stop`; all before it is decoded as well, and dropped."""
    rest, at = b"", 0
    async for part in text:
        if at >= stop:
            return
        rest += part.translate(None, _BLANKS)
        whole = len(rest) // _GROUP * _GROUP
        found, rest = pybase64.b64decode(rest[:whole]), rest[whole:]
        if wanted := found[max(0, start - at) : max(0, stop - at)]:
            yield wanted
        at += len(found)
