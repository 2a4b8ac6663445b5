"""Lets an attempt begin, or says how long it has to wait; the counts are shared by every process.

NIST SP 800-63B-4 section 3.2.2. An attempt is counted before it is looked at: a thousand at once are a thousand.
"""

from collections.abc import Sequence
from datetime import timedelta

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.signin.lockout import Count, Tally
from fhir_server.smart.signin.ports import Tallies

_TRIES = 20


class Attempts:
    def __init__(self, tallies: Tallies, clock: Clock) -> None:
        self._tallies, self._clock = tallies, clock

    async def begin(self, counts: Sequence[Count]) -> timedelta | None:
        """None: go on. Else the time to wait; the attempt that was refused is not counted."""
        now = self._clock.now()
        tallies = [await self._tallies.tally(count.key) for count in counts]
        waits = [tally.open - now for tally in tallies if tally and tally.open > now]
        if waits:
            return max(waits)
        for count in counts:
            if wait := await self._count(count):
                return wait
        return None

    async def succeeded(self, counts: Sequence[Count]) -> None:
        for count in counts:
            if count.forgiven:
                await self._tallies.forget(count.key)
            else:
                await self._take_back(count.key)

    async def _count(self, count: Count) -> timedelta | None:
        for _ in range(_TRIES):
            now = self._clock.now()
            before = await self._tallies.tally(count.key)
            if before and before.open > now:
                return before.open - now
            after = (before or Tally(0, now, now)).counting(count.limit, now)
            if await self._tallies.swap(count.key, before, after):
                return None
        raise UnavailableError("Too many attempts to sign in at once.")

    async def _take_back(self, key: str) -> None:
        for _ in range(_TRIES):
            before = await self._tallies.tally(key)
            if before is None:
                return
            after = Tally(before.failures - 1, self._clock.now(), before.last)
            if await self._tallies.swap(key, before, after):
                return
