"""HL7 v2 over MLLP, the sending end: one message, then its answer, on a connection that is kept for the next.

HL7 "Transport Specification: MLLP, Release 1". Beyond this machine with TLS alone, and to whom its certificate names.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field

from mappers.runtime.faults import NotNowError, SetupError
from mappers.runtime.mllp import END, LOOPBACK, START

_UNREACHED = "The receiver cannot be reached, or does not answer in time."
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Sender:
    """`seconds`: for the connection, and for each answer. `most_bytes`: of an answer."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    seconds: float = 30.0
    most_bytes: int = 65_536
    _open: Streams | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.tls is None and self.host not in LOOPBACK:
            raise SetupError("MLLP beyond this machine needs TLS.")

    async def send(self, raw: bytes) -> bytes:
        """The answer; NotNowError where there is none, and then it is not known whether the message arrived."""
        try:
            async with asyncio.timeout(self.seconds):
                reader, writer = self._open = self._open or await self._connected()
                writer.write(START + raw + END)
                await writer.drain()
                answer = await reader.readuntil(END)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self.close()
            raise NotNowError(_UNREACHED) from None
        if not answer.startswith(START):
            await self.close()
            raise NotNowError(_UNREACHED)
        return answer[len(START) : -len(END)]

    async def close(self) -> None:
        if self._open is not None:
            writer, self._open = self._open[1], None
            writer.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), self.seconds)

    async def _connected(self) -> Streams:
        return await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=self.most_bytes)


def client_context(authorities: str, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """`authorities`: who vouches for the receiver. `certificate`: our own, where the receiver asks for one (ITI-19)."""
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
