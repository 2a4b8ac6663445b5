"""One after the other, in the order of arrival, for messages about the same; all others at once.

What is known to touch the same record would only meet at the server, where all but one have to look again.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Turns:
    _last: "dict[str, asyncio.Future[None]]" = field(default_factory=dict, init=False, repr=False)

    @asynccontextmanager
    async def of(self, keys: Collection[str]) -> AsyncIterator[None]:
        """Inside, nobody else who named one of these keys. Whoever came earlier goes first, so nobody waits in a ring.

        The place in the row is taken before the first wait.
        """
        mine = asyncio.get_running_loop().create_future()
        before = [*{self._last[key] for key in keys if key in self._last}]
        self._last.update(dict.fromkeys(keys, mine))
        mine.add_done_callback(lambda _: self._forget(keys, mine))
        try:
            for one in before:
                await asyncio.shield(one)
            yield
        finally:
            _after(before, mine)

    def _forget(self, keys: Collection[str], mine: "asyncio.Future[None]") -> None:
        for key in keys:
            if self._last[key] is mine:
                del self._last[key]


def _after(before: "Sequence[asyncio.Future[None]]", mine: "asyncio.Future[None]") -> None:
    """Who goes away while waiting lets nobody overtake those who came before."""
    waited_for = next((one for one in before if not one.done()), None)
    if waited_for is None:
        mine.set_result(None)
    else:
        waited_for.add_done_callback(lambda _: _after(before, mine))
