"""The FHIR server, as the runtime sees it: one batch to read, one transaction to write.

https://hl7.org/fhir/R4/http.html#transaction. What fails for a moment is tried again, each time after a longer pause.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json, decode_object, encode
from mappers.runtime.faults import NotNowError, OvertakenError, RejectedError, SetupError
from mappers.runtime.line import MOST_AT_ONCE, UNREACHED, Answer, Posting
from mappers.runtime.looks import Look, together, told, url_of
from mappers.runtime.reading import Reading
from mappers.runtime.writing import Writing

_FHIR = "application/fhir+json"
_HEADERS = {"Content-Type": _FHIR, "Accept": _FHIR, "Accept-Encoding": "identity"}
"""Answers are small and the server is near: to pack them would cost both sides more than it saves."""

_MOST_ANSWER = 32 * 1024 * 1024
_OK, _UNAUTHORIZED, _TOO_MANY, _FAULTS = 200, 401, 429, 500
_OVERTAKEN = frozenset({409, 412})


class Tokens(Protocol):
    async def token(self) -> str: ...

    def forget(self) -> None: ...


@dataclass(slots=True)
class Server:
    """`pauses`: seconds before each further attempt; after the last one it is told that it cannot be now."""

    http: Posting
    base: str
    tokens: Tokens
    pauses: Sequence[float] = (0.2, 0.5, 1.0, 2.0)
    _reading: Reading = field(init=False, repr=False)
    _writing: Writing = field(init=False, repr=False)
    _room: asyncio.Semaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._reading = Reading(self._asked)
        self._writing = Writing(self._once, self.write)
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    async def read(self, looks: Sequence[Look]) -> list[Json | None]:
        """Each by its own: the resource or searchset, None where there is none."""
        if not looks:
            return []
        return [_found(entry) for entry in await self._reading.of(looks)]

    async def write(self, entries: Sequence[Json]) -> None:
        """All of it or nothing: OvertakenError to look again, RejectedError for good."""
        await self._post(_transaction(entries), pauses=self.pauses)

    async def write_along(self, entries: Sequence[Json]) -> None:
        """The same, in one request with others that are ready: for what is small."""
        await self._writing.of(entries)

    async def search(self, query: str) -> list[Json]:
        [found] = await self.read([query])
        return [] if found is None else [entry["resource"] for entry in found.get("entry", ())]

    async def ask(self, operation: str, parameters: Json) -> Json:
        """An operation that changes nothing: RejectedError for what it does not answer."""
        return await self._post(parameters, operation, pauses=self.pauses)

    async def _once(self, entries: Sequence[Json]) -> None:
        await self._post(_transaction(entries), pauses=())

    async def _asked(self, looks: Sequence[Look]) -> list[Json]:
        searches = together(looks)
        found = told(looks, searches, await self._batch([search.url for search in searches]))
        again = [place for place, entry in enumerate(found) if entry is None]
        alone = iter(await self._batch([url_of(looks[place]) for place in again]) if again else ())
        return [entry or next(alone) for entry in found]

    async def _batch(self, urls: Sequence[str]) -> list[Json]:
        entries = [{"request": {"method": "GET", "url": url}} for url in urls]
        answer = await self._post({"resourceType": "Bundle", "type": "batch", "entry": entries}, pauses=self.pauses)
        found: list[Json] = answer["entry"]
        return found

    async def _post(self, resource: Json, path: str = "", *, pauses: Sequence[float]) -> Json:
        body, renewed = encode(resource), False
        for pause in (*pauses, None):
            answer = await self._sent(body, path)
            if answer is not None and answer.status_code == _UNAUTHORIZED and not renewed:
                self.tokens.forget()
                renewed, answer = True, await self._sent(body, path)
            if answer is not None and answer.status_code < _FAULTS and answer.status_code != _TOO_MANY:
                return _told(answer)
            if pause is not None:
                await asyncio.sleep(pause)
        raise NotNowError("The server cannot be reached, or is not able to answer.")

    async def _sent(self, body: bytes, path: str) -> Answer | None:
        headers = {**_HEADERS, "Authorization": f"Bearer {await self.tokens.token()}"}
        try:
            async with self._room:
                return await self.http.post(f"{self.base}/{path}".rstrip("/"), content=body, headers=headers)
        except UNREACHED:
            return None


def _transaction(entries: Sequence[Json]) -> Json:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def _told(answer: Answer) -> Json:
    try:
        said = decode_object(answer.content, _MOST_ANSWER)
    except UnusableError:
        raise NotNowError("The server does not answer in FHIR.") from None
    if answer.status_code == _OK:
        return said
    if answer.status_code == _UNAUTHORIZED:
        raise SetupError("The server does not take the token.")
    if answer.status_code in _OVERTAKEN:
        raise OvertakenError
    raise RejectedError(answer.status_code, _code(said))


def _code(outcome: Json) -> str:
    """The issue's code alone: its text may have been written for somebody else."""
    issues = outcome.get("issue") or [{}]
    return str(issues[0].get("code", "unknown"))[:40]


def _found(entry: Json) -> Json | None:
    status = int(str(entry["response"]["status"])[:3])
    if status == _OK:
        resource: Json = entry["resource"]
        return resource
    if status in (404, 410):
        return None
    if status >= _FAULTS or status == _TOO_MANY:
        raise NotNowError("The server is not able to answer.")
    raise RejectedError(status, _code(entry["response"].get("outcome", {})))
