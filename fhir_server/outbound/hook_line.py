"""The connection to one endpoint, for as long as there is something to tell it.

https://hl7.org/fhir/R4/subscription.html#2.46.7.1 (rest-hook). Where it goes is looked at anew each time.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx2

from fhir_server.outbound.egress import Egress, EgressError
from fhir_server.subscriptions.ports import Notice

SECONDS = 10.0
_SUCCESS = range(200, 300)
_SHORT = frozenset(str(size) for size in range(4_097))
_DRAINING = 1.0
_ONE = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
_CUT = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)
"""How a connection looks that the other side closed while it was not in use."""


@asynccontextmanager
async def opened(egress: Egress) -> "AsyncIterator[Line]":
    async with httpx2.AsyncClient(verify=egress.trusted, trust_env=False, timeout=SECONDS, limits=_ONE) as client:
        yield Line(egress, client)


class Line:
    def __init__(self, egress: Egress, client: httpx2.AsyncClient) -> None:
        self._egress, self._client = egress, client
        self._is_used = False

    async def send(self, notice: Notice) -> bool:
        """True where it was answered with a 2xx in time."""
        try:
            async with asyncio.timeout(SECONDS):
                try:
                    status = await self._status(notice)
                except _CUT:
                    if not self._is_used:
                        raise
                    self._is_used = False
                    status = await self._status(notice)
        except (EgressError, httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError, TimeoutError):
            return False
        self._is_used = True
        return status in _SUCCESS

    async def _status(self, notice: Notice) -> int:
        headers = {"Accept-Encoding": "identity", "User-Agent": "fhir-server", **dict(notice.headers)}
        # Resolved anew each time, and gone to where it was looked at: a name that changes leads nowhere.
        target, headers["Host"] = await asyncio.to_thread(self._egress.pinned, notice.url)
        async with self._client.stream(
            notice.method,
            target,
            headers=headers,
            content=notice.body,
            extensions={"sni_hostname": urlsplit(notice.url).hostname},
        ) as answer:
            await _drain(answer)
            return answer.status_code


async def _drain(answer: httpx2.Response) -> None:
    """A connection is only used again after its answer; a long one is not waited for."""
    if answer.headers.get("content-length") in _SHORT:
        with suppress(httpx2.HTTPError, TimeoutError):
            async with asyncio.timeout(_DRAINING):
                async for _ in answer.aiter_raw():
                    pass
