"""Several notifications to one endpoint leave on one connection, in their order, also when the other side cuts it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from fhir_server.outbound import hook_line
from fhir_server.outbound.egress import Egress
from fhir_server.outbound.hooks import Hooks
from fhir_server.subscriptions.ports import Notice

pytestmark = pytest.mark.anyio


@dataclass
class Endpoint:
    """`answers`: to one connection so many, then it is closed. `answer`: the bytes of each."""

    answers: int = 1_000
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    port: int = 0
    connections: int = 0
    told: list[str] = field(default_factory=list)
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.append(writer)
        for _ in range(self.answers):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            self.told.append(head.decode("latin-1").lower().partition("event-number: ")[2].partition("\r")[0])
            writer.write(self.answer)
        else:
            # It hears the next one out, and closes without a word.
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def tell(self, *numbers: int) -> list[bool]:
        url = f"http://127.0.0.1:{self.port}/hook"
        async with Hooks(Egress(loopback=True)).line() as send:
            return [await send(Notice("POST", url, (("Event-Number", str(one)),))) for one in numbers]


@asynccontextmanager
async def listening(endpoint: Endpoint) -> AsyncIterator[Endpoint]:
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    endpoint.port = server.sockets[0].getsockname()[1]
    async with server:
        yield endpoint
        for writer in endpoint.open:
            writer.close()


async def test_several_leave_on_one_connection_in_their_order() -> None:
    async with listening(Endpoint()) as endpoint:
        assert await endpoint.tell(1, 2, 3) == [True] * 3

        assert (endpoint.connections, endpoint.told) == (1, ["1", "2", "3"])


async def test_where_the_other_side_cuts_it_between_two_another_is_opened() -> None:
    """It says nothing of closing, so it is found out when the next one is on its way."""
    async with listening(Endpoint(answers=1)) as endpoint:
        assert await endpoint.tell(1, 2, 3) == [True] * 3

        assert (endpoint.connections, endpoint.told) == (3, ["1", "2", "3"])


async def test_one_that_cuts_every_connection_was_told_nothing_and_is_asked_once() -> None:
    async with listening(Endpoint(answers=0)) as endpoint:
        assert await endpoint.tell(1) == [False]

        assert endpoint.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\nnever the rest",
        b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\nnever the rest",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["short", "long", "endless"],
)
async def test_an_answer_that_does_not_end_is_success_and_is_not_waited_for(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_line, "_DRAINING", 0.01)
    async with listening(Endpoint(answer=answer)) as endpoint, asyncio.timeout(5):
        assert await endpoint.tell(1, 2) == [True] * 2

        assert endpoint.connections == 2
