"""MLLP senders that do not wait for their answers: answered in order, held up when too quick, let go when deaf."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from mappers.runtime.mllp import END, START, Limits, Listener

pytestmark = pytest.mark.anyio

LIMITS = Limits(most_bytes=500_000, idle=30, frame=30, most_in_flight=4, most_ahead=100_000)


@dataclass
class Held:
    """Answers with what it was asked, each when it is told to."""

    begun: list[bytes] = field(default_factory=list)
    ended: list[bytes] = field(default_factory=list)
    may: dict[bytes, asyncio.Event] = field(default_factory=dict)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, raw: bytes) -> bytes:
        name = raw[:2]
        self.begun.append(name)
        self.open.set()
        await self.may.setdefault(name, asyncio.Event()).wait()
        if name == b"no":
            raise ValueError(name)
        self.ended.append(name)
        return name

    def free(self, *names: bytes) -> None:
        for name in names:
            self.may.setdefault(name, asyncio.Event()).set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.begun) < count:
                self.open.clear()
                await self.open.wait()


@asynccontextmanager
async def connected(held: Held) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with await Listener(held.answer, LIMITS).serve("127.0.0.1", 0, None) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def frames(*texts: bytes) -> bytes:
    return b"".join(START + text + END for text in texts)


async def test_answers_leave_in_the_order_of_the_messages_whichever_is_done_first() -> None:
    held = Held()
    async with connected(held) as (reader, writer), asyncio.timeout(10):
        writer.write(frames(b"m0", b"m1", b"m2"))
        await held.until(3)
        for name in (b"m2", b"m1", b"m0"):
            held.free(name)
            await asyncio.sleep(0)

        assert [await reader.readuntil(END) for _ in range(3)] == [frames(name) for name in (b"m0", b"m1", b"m2")]


async def test_who_is_too_quick_has_so_many_at_work_and_waits_for_the_rest() -> None:
    held, names = Held(), [b"%02d" % number for number in range(12)]
    async with connected(held) as (reader, writer), asyncio.timeout(10):
        writer.write(frames(*names))
        for done, name in enumerate(names):
            await held.until(min(done + LIMITS.most_in_flight, len(names)))
            assert len(held.begun) <= done + LIMITS.most_in_flight
            held.free(name)
            assert await reader.readuntil(END) == frames(name)

    assert held.begun == names


async def test_large_messages_are_at_work_one_by_one() -> None:
    held, names = Held(), [b"L0", b"L1"]
    async with connected(held) as (reader, writer), asyncio.timeout(10):
        sending = asyncio.create_task(_sent(writer, frames(*(name + b"x" * 200_000 for name in names))))
        await held.until(1)
        for _ in range(50):
            await asyncio.sleep(0)
        assert held.begun == names[:1]
        held.free(*names)

        assert [await reader.readuntil(END) for _ in names] == [frames(name) for name in names]
        await sending


async def test_what_came_before_a_broken_frame_is_answered() -> None:
    held = Held()
    async with connected(held) as (reader, writer), asyncio.timeout(10):
        writer.write(frames(b"ok") + b"noise")
        await held.until(1)
        held.free(b"ok")

        assert await reader.read() == frames(b"ok")


async def test_a_message_that_nobody_could_answer_ends_the_line_and_the_others_are_seen_through() -> None:
    held, loop = Held(), asyncio.get_running_loop()
    fault: asyncio.Future[object] = loop.create_future()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: fault.set_result(context["exception"]))
    async with connected(held) as (reader, writer), asyncio.timeout(10):
        writer.write(frames(b"no", b"m1"))
        await held.until(2)
        held.free(b"no", b"m1")

        with suppress(ConnectionError):
            assert await reader.read() == b""
        assert isinstance(await fault, ValueError)
    loop.set_exception_handler(before)

    assert held.ended == [b"m1"]


async def _sent(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
