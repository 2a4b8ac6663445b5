"""What is asked of the database while there is something else to do before its answer is needed.

sealed-storage section 4: sealing and drawing up take as long as the database takes, and need not wait for each other.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

Answer = TypeVar("Answer")


@asynccontextmanager
async def meanwhile(asked: Coroutine[None, None, Answer]) -> AsyncIterator[asyncio.Task[Answer]]:
    """Inside, it is under way; whoever needs the answer awaits it. Left only when it has ended, however that was."""
    task = asyncio.create_task(asked)
    await asyncio.sleep(0)  # it goes out before what is done meanwhile takes the processor
    try:
        yield task
    finally:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # whoever did not come to await it has a fault of its own to tell
