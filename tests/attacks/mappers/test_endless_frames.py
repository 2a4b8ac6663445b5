"""MLLP senders that do not end a frame, do not begin one, send too much, keep silent, or come in crowds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from mappers.runtime.faults import SetupError
from mappers.runtime.mllp import END, START, Limits, Listener

pytestmark = pytest.mark.anyio

LIMITS = Limits(most_bytes=200_000, idle=0.3, frame=0.3, most_connections=2)


async def echo(raw: bytes) -> bytes:
    return b"got %d" % len(raw)


@asynccontextmanager
async def connected(limits: Limits = LIMITS) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with await Listener(echo, limits).serve("127.0.0.1", 0, None) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def test_frames_are_answered_one_after_the_other_however_they_are_cut() -> None:
    async with connected() as (reader, writer):
        whole = START + b"a" * 70_000 + END + START + b"bb" + END
        for place in range(0, len(whole), 999):
            writer.write(whole[place : place + 999])
        await writer.drain()

        assert await reader.readuntil(END) == START + b"got 70000" + END
        assert await reader.readuntil(END) == START + b"got 2" + END


@pytest.mark.parametrize(
    "sent",
    [b"MSH|no start" + END, START + b"never ends", START + b"x" * 300_000, START + b"half" + END[:1], b"", END],
    ids=["no start", "no end", "too large", "half an end", "silence", "an end alone"],
)
async def test_a_sender_that_breaks_the_frame_is_let_go_unanswered(sent: bytes) -> None:
    async with connected() as (reader, writer):
        writer.write(sent)

        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                assert await reader.read() == b""


async def test_a_crowd_gets_no_further_than_the_limit() -> None:
    async with await Listener(echo, LIMITS).serve("127.0.0.1", 0, None) as server:
        address = server.sockets[0].getsockname()
        lines = [await asyncio.open_connection(*address) for _ in range(3)]
        await asyncio.sleep(0.05)

        reader, writer = lines[2]
        writer.write(START + b"x" + END)
        assert await reader.read() == b""

        for _, writer in lines:
            writer.close()


async def test_without_tls_it_listens_on_this_machine_alone() -> None:
    with pytest.raises(SetupError, match="needs TLS"):
        await Listener(echo).serve("0.0.0.0", 0, None)  # noqa: S104  refused before it is opened
