"""The messages of one connection that were read and are not answered yet: several at work, answered in their order.

HL7 v2.5.1 section 2.9.2. Whoever waits for each answer has one in flight; whoever does not is read so far and no
further.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

Say = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class InFlight:
    """`most` messages, and no further one while they are larger than `most_bytes` together."""

    most: int
    most_bytes: int
    _answers: "deque[tuple[asyncio.Task[bytes], int]]" = field(default_factory=deque, init=False, repr=False)
    _size: int = field(default=0, init=False)
    _ended: bool = field(default=False, init=False)
    _moved: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    async def room(self) -> None:
        """Until another one may be read; at once where nobody is answered any more."""
        while not self._ended and (len(self._answers) >= self.most or self._size > self.most_bytes):
            await self._wait()

    def add(self, answering: Coroutine[None, None, bytes], size: int) -> None:
        self._answers.append((asyncio.create_task(answering), size))
        self._size += size
        self._moved.set()

    def end(self) -> None:
        """None comes any more."""
        self._ended = True
        self._moved.set()

    async def answered(self, say: Say) -> None:
        """Until the end, one after the other. Where one cannot be told, the others are seen through, and not told."""
        try:
            while self._answers or not self._ended:
                if not self._answers:
                    await self._wait()
                    continue
                await say(await self._answers[0][0])
                self._size -= self._answers.popleft()[1]
                self._moved.set()
        finally:
            self.end()
            await asyncio.gather(*(task for task, _ in self._answers), return_exceptions=True)

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()
