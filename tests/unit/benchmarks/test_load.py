"""The load driver against a server of a few lines, whose behaviour is known."""

import asyncio
import os
from itertools import repeat

import pytest

from benchmarks.connection import BenchmarkError, Connection
from benchmarks.load import Target, Window, measure, percentile, window

pytestmark = pytest.mark.anyio
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PAUSE = 0.01


class Server:
    """Answers every request with the same bytes, in pieces of two, after a pause."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.answered = 0

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(PAUSE)
                middle = len(self._answer) // 2
                writer.write(self._answer[:middle])
                await writer.drain()
                writer.write(self._answer[middle:])
                self.answered += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            await writer.wait_closed()


def answer(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_rate_latency_and_processor_time_are_those_of_the_server() -> None:
    server = Server(answer("200 OK", b"well"))

    async with server as port:
        seen = await measure(Target(port, repeat(REQUEST), 200), 4, 0.5, 0.1, {"server": os.getpid()})

    assert 0 < seen.done <= server.answered
    assert seen.done <= 4 * seen.seconds / PAUSE
    assert percentile(seen.latencies, 0.5) >= PAUSE
    assert seen.processor["server"] >= 0
    assert seen.processor.keys() == {"driver", "server"}


async def test_an_answer_comes_whole_and_the_connection_stays() -> None:
    async with Server(answer("404 Not Found", b"gone" * 1000)) as port:
        connection = await Connection.open(port)
        answers = [await connection.ask(REQUEST) for _ in range(3)]
        await connection.close()

    assert {(one.status, one.body) for one in answers} == {(404, b"gone" * 1000)}


async def test_a_wrong_status_ends_the_measurement() -> None:
    async with Server(answer("500 Oops", b"")) as port:
        with pytest.raises(BenchmarkError, match="Expected 200, got 500"):
            await measure(Target(port, repeat(REQUEST), 200), 2, 0.2, 0.05, {})


async def test_an_answer_without_a_length_is_refused() -> None:
    async with Server(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        connection = await Connection.open(port)
        with pytest.raises(BenchmarkError, match="Content-Length"):
            await connection.ask(REQUEST)
        await connection.close()


async def test_a_closed_connection_takes_no_request() -> None:
    async with Server(answer("200 OK", b"")) as port:
        connection = await Connection.open(port)
        await connection.close()
        with pytest.raises(BenchmarkError, match="closed"):
            await connection.ask(REQUEST)


def test_a_request_at_the_edge_counts_by_its_share_of_the_window() -> None:
    seen: Window = window([(0.0, 0.5), (0.5, 1.5), (1.5, 2.0), (1.75, 2.25), (2.5, 3.0)], 1.0, 2.0, {}, 0.0)

    assert seen.done == pytest.approx(0.5 + 1 + 0.5)
    assert seen.latencies == (0.5, 0.5, 1.0), "whole, of every request that the window saw"


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_the_smallest_value_that_the_share_does_not_exceed(share: float, expected: float) -> None:
    assert percentile(tuple(float(number) for number in range(1, 101)), share) == expected
