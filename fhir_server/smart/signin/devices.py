"""Browsers that a person signed in with before. One is known by a long-lived random secret in its cookie.

OWASP "device cookies": the failures of others cannot slow down a browser that is known (see lockout).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from fhir_server.kernel.clock import Clock
from fhir_server.smart.signin.binding import digest

LIFETIME = timedelta(days=180)
MOST = 20
_SECRET_CHARACTERS = 43
"""32 bytes in base64url."""


class Devices(Protocol):
    """One row per user and browser."""

    async def known(self, user: str, device: bytes, now: datetime) -> bool: ...

    async def add(self, user: str, device: bytes, now: datetime, until: datetime) -> None:
        """Or renew. Beyond MOST the one unused for longest goes."""
        ...

    async def count(self, user: str, now: datetime) -> int: ...

    async def forget(self, user: str) -> None: ...


class KnownDevices:
    def __init__(self, devices: Devices, clock: Clock, new_secret: Callable[[], str]) -> None:
        self._devices, self._clock, self._new_secret = devices, clock, new_secret

    async def name(self, user: str, secret: str | None) -> str | None:
        """By which its attempts are counted; None for a browser that this user never used."""
        if not secret:
            return None
        device = digest(secret)
        return device.hex() if await self._devices.known(user, device, self._clock.now()) else None

    async def learn(self, user: str, secret: str | None) -> str:
        """The browser's secret from now on."""
        now = self._clock.now()
        # Several people may share a browser, so a secret that another user knows stays; but it must look like ours.
        if secret is None or len(secret) != _SECRET_CHARACTERS:
            secret = self._new_secret()
        await self._devices.add(user, digest(secret), now, now + LIFETIME)
        return secret

    async def count(self, user: str) -> int:
        return await self._devices.count(user, self._clock.now())

    async def forget(self, user: str) -> None:
        await self._devices.forget(user)
