"""Requests on kept connections: what arrives, what comes back, and what comes of no answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from mappers.mapping.json_text import encode
from mappers.runtime.faults import NotNowError, RejectedError
from mappers.runtime.line import kept_line
from mappers.runtime.server import Server

pytestmark = pytest.mark.anyio


@dataclass
class Listening:
    """Answers with `said`, and keeps what it heard; `closes`: after one request, without a word of it."""

    said: bytes
    closes: bool = False
    heard: list[tuple[bytes, bytes]] = field(default_factory=list)
    connections: int = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while head := await _head(reader):
            length = next(int(one[15:]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:"))
            self.heard.append((head, await reader.readexactly(length)))
            if self.closes:
                break
            writer.write(self.said)
        writer.close()
        await writer.wait_closed()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass(frozen=True)
class Given:
    async def token(self) -> str:
        return "a-token"

    def forget(self) -> None:
        raise AssertionError


@asynccontextmanager
async def asking(listening: Listening) -> AsyncIterator[Server]:
    heard = await asyncio.start_server(listening.connected, "127.0.0.1", 0)
    async with heard, kept_line(seconds=10) as line:
        port = heard.sockets[0].getsockname()[1]
        yield Server(line, f"http://127.0.0.1:{port}/fhir", Given(), pauses=())


async def test_what_is_written_arrives_whole_and_the_connection_is_kept() -> None:
    listening = Listening(answer("200 OK", b'{"resourceType":"Bundle"}'))
    large = [{"resource": {"resourceType": "Basic", "id": "x" * 3_000_000}}]

    async with asking(listening) as server:
        await server.write(large)
        await server.write([])

    [(head, body), (_, empty)] = listening.heard
    assert listening.connections == 1
    assert head.startswith(b"POST /fhir HTTP/1.1\r\n")
    assert b"\r\nauthorization: bearer a-token\r\n" in head.lower()
    assert head.lower().count(b"\r\ncontent-type: application/fhir+json\r\n") == 1
    assert body == encode({"resourceType": "Bundle", "type": "transaction", "entry": large})
    assert empty == encode({"resourceType": "Bundle", "type": "transaction", "entry": []})


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    listening = Listening(answer("307 Temporary Redirect", b"{}", "Location: /elsewhere"))

    async with asking(listening) as server:
        with pytest.raises(RejectedError) as refused:
            await server.write([])

    assert refused.value.status == 307
    assert len(listening.heard) == 1


async def test_a_cookie_is_not_sent_back() -> None:
    listening = Listening(answer("200 OK", b"{}", "Set-Cookie: a=b; Path=/"))

    async with asking(listening) as server:
        await server.write([])
        await server.write([])

    assert not any(b"cookie" in head.lower() for head, _ in listening.heard)


async def test_who_hangs_up_or_is_not_there_cannot_be_asked_now() -> None:
    listening = Listening(b"", closes=True)

    async with asking(listening) as server:
        with pytest.raises(NotNowError):
            await server.write([])
    async with kept_line() as line:
        with pytest.raises(NotNowError):
            await Server(line, server.base, Given(), pauses=()).write([])
