"""HL7 v2 over MLLP: frames in, one message at a time, each answered after its commit.

HL7 "Transport Specification: MLLP, Release 1": 0x0B, message, 0x1C 0x0D. A frame that does not end, is too large or
does not begin ends the connection. A sender that is too quick waits: the next frame is read after the answer is out.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from mappers.runtime.faults import SetupError

START, END = b"\x0b", b"\x1c\x0d"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PIECE = 65_536

Answer = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Limits:
    """`idle`: seconds between frames. `frame`: seconds from a frame's first byte to its last."""

    most_bytes: int = 32 * 1024 * 1024
    idle: float = 600.0
    frame: float = 60.0
    most_connections: int = 32


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
        rest = b""
        while True:
            if not rest:
                rest = await asyncio.wait_for(reader.read(_PIECE), self.limits.idle)
                if not rest:
                    return
            frame, rest = await asyncio.wait_for(self._frame(reader, rest), self.limits.frame)
            writer.write(START + await self.answer(frame) + END)
            await asyncio.wait_for(writer.drain(), self.limits.frame)

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
