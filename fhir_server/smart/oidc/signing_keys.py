"""The keys with which tokens are signed: announced before they sign, kept while what they signed may live.

RFC 7517, OpenID Connect Core section 10.1.1 (rotation). RS256: what each client of OpenID Connect and of IUA reads.
A key is published ANNOUNCED before its first signature, and each process looks for new ones far more often than that,
so no process and no client meets a signature of a key that it could not know.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from joserfc.jwk import RSAKey

from fhir_server.kernel.clock import Clock
from fhir_server.kernel.errors import UnavailableError
from fhir_server.kernel.json import Json
from fhir_server.smart.ports import KeyRow, SigningKeyRows

ALGORITHM = "RS256"
LIFE = timedelta(days=90)
ANNOUNCED = timedelta(minutes=10)
KEPT = timedelta(hours=2)
_BITS = 2048
_PUBLIC = ("kty", "n", "e")
_LOOK_SECONDS = 60


@dataclass(frozen=True, slots=True)
class SigningKey:
    number: int
    created: datetime
    kid: str
    key: RSAKey


class SigningKeys:
    """What this process knows of them; `refresh` looks again, and makes the next one when it is time."""

    def __init__(self, rows: SigningKeyRows, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self._keys: tuple[SigningKey, ...] = ()

    def signing(self, now: datetime) -> SigningKey:
        """The newest that was announced long enough; the very first signs at once."""
        known = [key for key in self._keys if key.created + ANNOUNCED <= now]
        return known[-1] if known else self._keys[0]

    def find(self, kid: object) -> RSAKey | None:
        return next((key.key for key in self._keys if key.kid == kid), None)

    def published(self) -> Json:
        """The JWK Set: public halves, without certificates."""
        return {"keys": [_public(key) for key in self._keys]}

    async def refresh(self) -> None:
        now = self._clock.now()
        rows = await self._rows.all()
        if not rows or rows[-1].created + LIFE <= now:
            rows = await self._with_another(rows)
        gone = _past(rows, now)
        if gone:
            await self._rows.remove(gone)
        known = {key.number: key for key in self._keys}
        left = [row for row in rows if row.number not in gone]
        self._keys = tuple(
            [known[row.number] if row.number in known else await asyncio.to_thread(_opened, row) for row in left]
        )

    async def renew(self) -> None:
        """Make the next one now, for when the present one is no longer trusted."""
        await self._with_another(await self._rows.all())
        await self.refresh()

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[Self]:
        """Known when entered, and looked at again until left."""
        await self.refresh()
        looking = asyncio.create_task(self._look_again())
        try:
            yield self
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.refresh()
            except UnavailableError:
                continue  # what is known stays good for a while

    async def _with_another(self, rows: Sequence[KeyRow]) -> Sequence[KeyRow]:
        """Another process may make the same number at the same time: then that one is taken."""
        jwk = await asyncio.to_thread(_new)
        await self._rows.add(KeyRow(rows[-1].number + 1 if rows else 1, self._clock.now(), jwk))
        return await self._rows.all()


def _new() -> Json:
    return dict(RSAKey.generate_key(_BITS).as_dict(private=True))


def _opened(row: KeyRow) -> SigningKey:
    key = RSAKey.import_key(row.jwk)
    assert key.private_key, "also to have it parsed here, in a thread"
    return SigningKey(row.number, row.created, key.thumbprint(), key)


def _past(rows: Sequence[KeyRow], now: datetime) -> list[int]:
    """Whose successor has signed for so long that nothing older can be alive."""
    pairs = itertools.pairwise(rows)
    return [row.number for row, following in pairs if following.created + ANNOUNCED + KEPT <= now]


def _public(key: SigningKey) -> Json:
    jwk = key.key.as_dict(private=False)
    return {**{name: jwk[name] for name in _PUBLIC}, "kid": key.kid, "use": "sig", "alg": ALGORITHM}
