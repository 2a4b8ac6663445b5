"""Worker threads for what is synchronous: a few, with a short queue, so that a flood is refused and not heaped up.

ADR 9: authlib's grants run off the event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from fhir_server.kernel.errors import UnavailableError

_THREADS = 8
_MOST_WAITING = 256
_PATIENCE_SECONDS = 10

T = TypeVar("T")


class Threads:
    """Made inside the event loop that it serves."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="oauth")
        self._loop = asyncio.get_running_loop()
        self._busy = 0

    async def run(self, do: Callable[..., T], *arguments: object) -> T:
        if self._busy >= _MOST_WAITING:
            raise UnavailableError("Too many requests are waiting; try again.")
        self._busy += 1
        try:
            return await self._loop.run_in_executor(self._pool, do, *arguments)
        finally:
            self._busy -= 1

    def wait_for(self, something: Callable[[], Awaitable[T]]) -> T:
        """From one of the threads: what the event loop has to find out."""

        async def awaited() -> T:
            return await something()

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(_PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for what is under way."""
        self._pool.shutdown()
