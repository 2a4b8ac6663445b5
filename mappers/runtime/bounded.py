"""One HTTP request to another server: no redirect is followed, nothing compressed is taken, so much and no longer.

OWASP "Server-Side Request Forgery Prevention". No address and no body is ever told in an error.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from httpx2 import AsyncClient, HTTPError, InvalidURL

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json, decode_object
from mappers.runtime.faults import NotNowError, SetupError

_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Json:
        try:
            return decode_object(self.body, len(self.body))
        except UnusableError:
            raise SetupError("The other server does not answer in JSON.") from None


async def asked(
    http: AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    most_bytes: int,
    content: bytes | None = None,
    form: Mapping[str, str] | None = None,
) -> Answer:
    """NotNowError where there is no answer in time; SetupError for one that is not read."""
    sent = {**headers, "Accept-Encoding": "identity"}
    found = bytearray()
    try:
        async with (
            asyncio.timeout(_SECONDS),
            http.stream(method, url, content=content, data=form, headers=sent, follow_redirects=False) as answer,
        ):
            if answer.is_redirect:
                raise SetupError("The other server leads elsewhere, and is not followed.")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise SetupError("The other server compresses what it was asked not to.")
            async for part in answer.aiter_bytes():
                found += part
                if len(found) > most_bytes:
                    raise SetupError("The other server answers with more than is read.")
            return Answer(answer.status_code, answer.headers, bytes(found))
    except (HTTPError, InvalidURL, TimeoutError):
        raise NotNowError("The other server cannot be reached.") from None
