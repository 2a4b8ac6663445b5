"""One keep-alive connection to a server: as little work per request as a client can do.

RFC 9112. The driver shares the machine with what it measures, so it parses no more of an answer than it needs.
"""

import asyncio
from dataclasses import dataclass
from typing import Self, cast

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class BenchmarkError(RuntimeError):
    """What was measured did not behave; its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One request at a time. Answers must state their length, as those of the server do."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()
        self._needed = 0
        self._body_at = 0
        self._answer: asyncio.Future[Answer] | None = None
        self._closed = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, port: int) -> Self:
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    async def ask(self, request: bytes) -> Answer:
        """Raises BenchmarkError when the server hangs up or answers without a length."""
        if self._transport is None or self._closed.done():
            raise BenchmarkError("The connection is closed.")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            await self._closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports can write and do not inherit from asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if not self._needed and not self._read_head():
            return
        if len(received) >= self._needed:
            answer = Answer(int(received[9:12]), bytes(received[self._body_at : self._needed]))
            del received[: self._needed]
            self._needed = 0
            if self._answer and not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("The server closed the connection.")
        if not self._closed.done():
            self._closed.set_result(None)

    def _read_head(self) -> bool:
        """True once the whole head is there; then it is known how many bytes the answer has."""
        end = self._received.find(_HEAD_END)
        if end < 0:
            return False
        head = bytes(self._received[:end]).lower()
        length_at = head.find(_LENGTH)
        if length_at < 0:
            self._fail("The answer has no Content-Length.")
            return False
        self._body_at = end + len(_HEAD_END)
        self._needed = self._body_at + int(head[length_at + len(_LENGTH) :].partition(b"\r\n")[0])
        return True

    def _fail(self, why: str) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(BenchmarkError(why))
