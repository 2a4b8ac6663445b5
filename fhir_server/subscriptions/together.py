"""One look for all who ask at the same time: who comes while one is under way shares the next.

Architecture section 6: few round trips. What is answered was so at some instant after the question.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    def __init__(self, look: Callable[[], Awaitable[T]]) -> None:
        self._look = look
        self._next: asyncio.Task[T] | None = None
        self._looking = asyncio.Lock()

    async def now(self) -> T:
        """Shared with others, so never to be changed."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
        # Whoever goes away does not take the others' answer along.
        return await asyncio.shield(self._next)

    async def _run(self) -> T:
        async with self._looking:
            self._next = None
            return await self._look()
