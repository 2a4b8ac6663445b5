"""A subscriber's endpoint: a real HTTP server on loopback, which notes what comes and answers as it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_REASON = "Whatever"


@dataclass(frozen=True, slots=True)
class Came:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def number(self) -> int:
        """Of the event; 0 of a handshake."""
        return int(self.headers.get("event-number", "0"))

    @property
    def focus(self) -> str:
        return self.headers["event-focus"]


@dataclass
class Receiver:
    port: int = 0
    status: int = 200
    location: str = ""
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    came: list[Came] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def events(self) -> list[Came]:
        return [one for one in self.came if one.number]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.came.append(Came(method, path, headers, body))
        if self.came[-1].number:
            self.told.set()
        await self.answering.wait()
        more = f"Location: {self.location}\r\n" if self.location else ""
        writer.write(
            f"HTTP/1.1 {self.status} {_REASON}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.answering.set()
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", port)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()
