"""An answer made of pieces: sent at once where all of it is in memory, a part at a time where data lies elsewhere.

sealed-storage section 5. However large the data of a page may be, one part of it is all that is held.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeAlias

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from fhir_server.engine.attached import Attached, written

Pieces: TypeAlias = Sequence[bytes | Attached]


class Streamed(StreamingResponse):
    """A body of known length that comes in parts. For a HEAD none of them is fetched.

    `first`: with which of the parts the data begins that is fetched for it.
    """

    def __init__(
        self, parts: AsyncIterator[bytes], length: int, status: int, headers: Mapping[str, str], first: int = 1
    ) -> None:
        super().__init__(parts, status, {**headers, "Content-Length": str(length)})
        self._parts, self._length, self._first = parts, length, first
        self._whole: bytes | None = None

    async def begin(self) -> None:
        """Fetch the first data, so that what cannot be opened is told as a failure and not by cutting the answer off.

        Raises GoneError or UnavailableError.
        """
        first = [part async for part in _most(self._parts, self._first)]
        if sum(map(len, first)) == self._length:
            # As a thumbnail is. It leaves at once.
            self._whole = b"".join([*first, *[part async for part in self._parts]])
        self.body_iterator = _joined(first, self._parts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD" or self._whole is not None:
            body = None if scope["method"] == "HEAD" else self._whole
            await Response(body, self.status_code, dict(self.headers))(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


async def _most(parts: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        try:
            yield await anext(parts)
        except StopAsyncIteration:
            return


async def _joined(first: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for part in first:
        yield part
    async for part in rest:
        yield part


def assembled(pieces: Pieces, status: int, headers: Mapping[str, str], media_type: str) -> Response:
    held = [piece for piece in pieces if isinstance(piece, bytes)]
    if len(held) == len(pieces):
        return Response(b"".join(held), status, headers, media_type)
    length = sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in pieces)
    # What is in memory before the first Attached is one part.
    first = 2 if isinstance(pieces[0], bytes) else 1
    return Streamed(written(pieces), length, status, {**headers, "Content-Type": media_type}, first)
