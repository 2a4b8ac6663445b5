"""From which web pages may be called: those of registered clients, looked up again from time to time.

https://fetch.spec.whatwg.org/#http-cors-protocol; R-SMART-086. No door: who has no token gets nothing from any origin.
"""

import asyncio
import re
from datetime import datetime, timedelta

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.ports import Clients

_KEPT = timedelta(seconds=10)
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\])):[0-9]{1,5}", re.ASCII)


class Origins:
    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clients, self._clock = clients, clock
        self._known: frozenset[str] = frozenset()
        self._looked: datetime | None = None

    async def allows(self, origin: str) -> bool:
        """A native app's page on loopback may have any port where its redirect URI may."""
        now = self._clock.now()
        if self._looked is None or self._looked + _KEPT <= now:
            await self._look(now)
        found = _LOOPBACK.fullmatch(origin)
        return origin in self._known or (found is not None and found[1] in self._known)

    async def _look(self, now: datetime) -> None:
        self._looked = now
        try:
            clients = await asyncio.to_thread(self._clients.all)
        except UnavailableError:
            return  # what was known stays good; nothing is opened by it
        self._known = frozenset(origin for client in clients for origin in client.origins)
