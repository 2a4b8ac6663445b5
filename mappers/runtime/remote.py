"""Another FHIR server, or ours, resource by resource: read, search, what changed, and writes over the version seen.

https://hl7.org/fhir/R4/http.html#concurrency: `If-Match` on each change, `If-None-Exist` on each creation.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from httpx2 import AsyncClient

from mappers.mapping.json_text import Json, encode
from mappers.runtime.bounded import Answer, asked
from mappers.runtime.faults import NotNowError, OvertakenError, RejectedError, SetupError
from mappers.runtime.server import Tokens

_FHIR = "application/fhir+json"
_MOST_BYTES = 32 * 1024 * 1024
_OK, _UNAUTHORIZED, _TOO_MANY, _FAULTS = 200, 401, 429, 500
_KEPT = 409
_GONE, _OVERTAKEN, _DONE = frozenset({404, 410}), frozenset({409, 412}), frozenset({200, 201, 204})


@dataclass(slots=True)
class Remote:
    """`base`: without a slash at its end. Where it may be asked is `base` and below, and nowhere else."""

    http: AsyncClient
    base: str
    tokens: Tokens
    pauses: Sequence[float] = (0.2, 0.5, 1.0, 2.0)
    most_bytes: int = field(default=_MOST_BYTES)

    async def read(self, reference: str) -> Json | None:
        """None for what is not there, or not any more."""
        answer = await self._answered("GET", reference)
        return None if answer.status in _GONE else self._found(answer)

    async def search(self, query: str) -> list[Json]:
        """The first page: who asks, asks for as many as can be."""
        bundle = self._found(await self._answered("GET", query))
        return [one["resource"] for one in bundle.get("entry", ()) if one.get("search", {}).get("mode") != "outcome"]

    async def page(self, url: str) -> Json:
        """One of several; a link that leads out of the server is refused."""
        return self._found(await self._answered("GET", self._inside(url)))

    async def content(self, reference: str) -> bytes:
        """The bytes of a Binary or a photograph, as they are."""
        answer = await self._answered("GET", self._inside(reference), {"Accept": "*/*"})
        if answer.status != _OK:
            raise RejectedError(answer.status, "content")
        return answer.body

    async def create(self, resource: Json, unless: str) -> Json:
        """`unless`: a search that finds the one that this would be a second of; then it is that one."""
        headers = {"If-None-Exist": unless, "Prefer": "return=representation"}
        return await self._written("POST", resource["resourceType"], headers, resource)

    async def update(self, resource: Json, version: str) -> Json:
        headers = {"If-Match": f'W/"{version}"', "Prefer": "return=representation"}
        return await self._written("PUT", f"{resource['resourceType']}/{resource['id']}", headers, resource)

    async def transact(self, entries: Sequence[Json]) -> list[Json]:
        """All of it or nothing; the resources as they are now."""
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
        answer = await self._answered("POST", "", {"Prefer": "return=representation"}, encode(bundle))
        return [one["resource"] for one in self._found(answer).get("entry", ()) if "resource" in one]

    async def delete(self, reference: str, version: str) -> None:
        """RejectedError where it is kept, as records are in many places by law."""
        answer = await self._answered("DELETE", reference, {"If-Match": f'W/"{version}"'})
        if answer.status == _KEPT:
            raise RejectedError(answer.status, "conflict")
        if answer.status not in _GONE:
            _refuse(answer)

    async def _written(self, method: str, path: str, headers: Mapping[str, str], resource: Json) -> Json:
        answer = await self._answered(method, path, headers, encode(resource))
        _refuse(answer)
        if answer.body and answer.status in _DONE:
            return answer.json()
        place = answer.headers.get("location") or answer.headers.get("content-location") or f"{self.base}/{path}"
        found = await self.read(_reference(self._inside(place)))
        if found is None:
            raise OvertakenError
        return found

    def _inside(self, url: str) -> str:
        """A path below the base, of an absolute URL or a relative one."""
        whole, base = urlsplit(url), urlsplit(self.base)
        if not whole.scheme and not whole.netloc:
            path = url
        elif (whole.scheme, whole.netloc) == (base.scheme, base.netloc) and whole.path.startswith(base.path):
            path = url.removeprefix(f"{whole.scheme}://{whole.netloc}{base.path}").removeprefix("/")
        else:
            raise SetupError("The other server leads elsewhere, and is not followed.")
        if ".." in path.split("?")[0].split("/") or path.startswith("/"):
            raise SetupError("The other server leads elsewhere, and is not followed.")
        return path

    async def _answered(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        """Whoever cannot answer now is asked again, after a while; a token that is not taken is renewed once."""
        renewed = False
        for pause in (*self.pauses, None):
            answer = await self._once(method, path, headers or {}, content)
            if answer is not None and answer.status == _UNAUTHORIZED and not renewed:
                self.tokens.forget()
                renewed, answer = True, await self._once(method, path, headers or {}, content)
            if answer is not None and answer.status < _FAULTS and answer.status != _TOO_MANY:
                return answer
            if pause is not None:
                await asyncio.sleep(pause)
        raise NotNowError("The other server cannot be reached, or is not able to answer.")

    async def _once(self, method: str, path: str, headers: Mapping[str, str], content: bytes | None) -> Answer | None:
        typed = {"Content-Type": _FHIR} if content is not None else {}
        sent = {"Authorization": f"Bearer {await self.tokens.token()}", "Accept": _FHIR, **typed, **headers}
        url = f"{self.base}/{path}" if path else self.base
        try:
            return await asked(self.http, method, url, sent, most_bytes=self.most_bytes, content=content)
        except NotNowError:
            return None

    def _found(self, answer: Answer) -> Json:
        _refuse(answer)
        return answer.json()


def _reference(path: str) -> str:
    return "/".join(path.split("/")[:2])


def _refuse(answer: Answer) -> None:
    if answer.status in _OVERTAKEN:
        raise OvertakenError
    if answer.status == _UNAUTHORIZED:
        raise SetupError("The other server does not take the token.")
    if answer.status not in _DONE:
        raise RejectedError(answer.status, "refused")
