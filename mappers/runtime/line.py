"""Requests to the FHIR server on connections that are kept: POST alone, its status and its body.

RFC 9112 section 9.3. Each message is one to three of these; aiohttp spends a fifth of httpx2's processor time on one.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Protocol

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from httpx2 import HTTPError, create_ssl_context

MOST_AT_ONCE = 20
"""As many requests as connections are kept: more would only wait at the server."""

UNREACHED = (ClientError, HTTPError, TimeoutError)
"""What a request ends in that has no answer."""


class Answer(Protocol):
    @property
    def status_code(self) -> int: ...

    @property
    def content(self) -> bytes: ...


class Posting(Protocol):
    """Also what an AsyncClient of httpx2 does. One of UNREACHED where there is no answer; no redirect is followed."""

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Told:
    status_code: int
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Line:
    session: ClientSession

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> Told:
        async with self.session.post(url, data=BytesIO(content), headers=headers, allow_redirects=False) as answer:
            return Told(answer.status, await answer.read())


@asynccontextmanager
async def kept_line(seconds: float = 30.0) -> AsyncIterator[Line]:
    """`seconds`: for a request with its answer. Whom httpx2 trusts is trusted; no proxy and no cookie is taken."""
    async with ClientSession(
        connector=TCPConnector(limit=MOST_AT_ONCE, ssl=create_ssl_context(trust_env=False)),
        timeout=ClientTimeout(total=seconds),
        cookie_jar=DummyCookieJar(),
    ) as session:
        yield Line(session)
