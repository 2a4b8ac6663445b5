"""Asks a vendor's API: over https, at the vendor's own hosts, no redirect, so much and no longer.

OWASP "Server-Side Request Forgery Prevention". An address may hold a key: none is ever told in an error or a log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from httpx2 import AsyncClient, HTTPError, InvalidURL

from mappers.runtime.faults import NotNowError, SetupError

_OK, _GONE, _TOO_MANY, _FAULTS = 200, frozenset({404, 410}), 429, 500


@dataclass(frozen=True, slots=True)
class Fetcher:
    """`hosts`: where this source may be asked, and nowhere else."""

    http: AsyncClient
    hosts: frozenset[str]
    most_bytes: int = 8 * 1024 * 1024

    async def get(self, url: str, headers: Mapping[str, str]) -> bytes | None:
        """None for what is not there any more."""
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.netloc not in self.hosts:
            raise SetupError("This source is asked at its own hosts only.")
        try:
            async with self.http.stream("GET", url, headers=dict(headers), follow_redirects=False) as answer:
                if answer.status_code in _GONE:
                    return None
                if answer.status_code == _TOO_MANY or answer.status_code >= _FAULTS:
                    raise NotNowError("The source is not able to answer now.")
                if answer.status_code != _OK:
                    raise SetupError(f"The source answers {answer.status_code}.")
                found = bytearray()
                async for part in answer.aiter_bytes():
                    found += part
                    if len(found) > self.most_bytes:
                        raise SetupError("The source answers with more than is read.")
        except (HTTPError, InvalidURL):
            raise NotNowError("The source cannot be reached.") from None
        return bytes(found)
