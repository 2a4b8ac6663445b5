"""HL7 v2 over MLLP: frames in, each answered after its commit, in the order in which they came.

HL7 "Transport Specification: MLLP, Release 1": 0x0B, message, 0x1C 0x0D. A frame that does not end, is too large or
does not begin ends the connection, once what came before it is answered. A sender that does not wait for its answers
has some messages at work at once; one that is too quick waits, since no more is read.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field

from mappers.runtime.faults import SetupError
from mappers.runtime.in_flight import InFlight

START, END = b"\x0b", b"\x1c\x0d"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PIECE = 65_536

Answer = Callable[[bytes], Coroutine[None, None, bytes]]
"""Begun in the order of the frames, while earlier ones are at work: what must stay in order is for it to see to."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`idle`: seconds between frames. `frame`: seconds from a frame's first byte to its last.

    On one connection `most_in_flight` messages are at work at once, and no more is read while they are larger together
    than `most_ahead`.
    """

    most_bytes: int = 32 * 1024 * 1024
    idle: float = 600.0
    frame: float = 60.0
    most_connections: int = 32
    most_in_flight: int = 16
    most_ahead: int = 1024 * 1024


class _BrokenFrameError(Exception):
    pass


@dataclass(slots=True)
class Listener:
    answer: Answer
    limits: Limits = field(default_factory=Limits)
    _open: int = field(default=0, init=False)

    async def serve(self, host: str, port: int, tls: ssl.SSLContext | None) -> asyncio.Server:
        """Without TLS on this machine alone."""
        if tls is None and host not in LOOPBACK:
            raise SetupError("MLLP beyond this machine needs TLS.")
        return await asyncio.start_server(self._connection, host, port, ssl=tls, limit=_PIECE)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= self.limits.most_connections:
                await self._frames(reader, writer)
        except (_BrokenFrameError, TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever breaks the frame has said nothing that could be answered
        finally:
            self._open -= 1
            writer.close()
            with suppress(ConnectionError, TimeoutError, ssl.SSLError):
                await writer.wait_closed()

    async def _frames(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = InFlight(self.limits.most_in_flight, self.limits.most_ahead)

        async def say(answer: bytes) -> None:
            writer.write(START + answer + END)
            await asyncio.wait_for(writer.drain(), self.limits.frame)

        async def answered() -> None:
            try:
                await line.answered(say)
            except BaseException:
                writer.transport.abort()  # whoever does not hear is not listened to either
                raise

        telling = asyncio.create_task(answered())
        try:
            await self._heard(reader, line)
        finally:
            line.end()
            await telling

    async def _heard(self, reader: asyncio.StreamReader, line: InFlight) -> None:
        rest = b""
        while True:
            await line.room()
            if not rest:
                rest = await asyncio.wait_for(reader.read(_PIECE), self.limits.idle)
                if not rest:
                    return
            frame, rest = await asyncio.wait_for(self._frame(reader, rest), self.limits.frame)
            line.add(self.answer(frame), len(frame))

    async def _frame(self, reader: asyncio.StreamReader, begun: bytes) -> tuple[bytes, bytes]:
        """One message, and what came after it already."""
        found = bytearray(begun)
        if found[:1] != START:
            raise _BrokenFrameError
        looked = 1
        while (end := found.find(END, looked - 1)) < 0:
            looked = len(found)
            if looked > self.limits.most_bytes:
                raise _BrokenFrameError
            piece = await reader.read(_PIECE)
            if not piece:
                raise _BrokenFrameError
            found += piece
        return bytes(found[1:end]), bytes(found[end + len(END) :])


def tls_context(certificate: str, key: str, client_authorities: str | None) -> ssl.SSLContext:
    """`client_authorities`: who may connect proves it with a certificate of theirs (IHE ATNA, ITI-19)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_authorities:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_authorities)
    return context
