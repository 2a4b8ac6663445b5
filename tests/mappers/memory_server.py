"""A FHIR server in memory, as the runtime sees one: `Remote` for resources, `Server` for batches, in one."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from mappers.runtime.faults import OvertakenError, RejectedError

Json = dict[str, Any]


@dataclass
class MemoryServer:
    """`refuses`: status that reading, writing or deleting a reference is answered with."""

    base: str
    resources: dict[str, Json] = field(default_factory=dict)
    history: list[tuple[str, Json | None]] = field(default_factory=list)
    refuses: dict[str, int] = field(default_factory=dict)
    decided: Json = field(default_factory=dict)
    writes: int = 0

    def put(self, resource: Json) -> Json:
        reference = f"{resource['resourceType']}/{resource['id']}"
        version = int(self.resources.get(reference, {}).get("meta", {}).get("versionId", 0)) + 1
        stored = {**resource, "meta": {**resource.get("meta", {}), "versionId": str(version)}}
        self.resources[reference] = stored
        self.history.append((reference, stored))
        return stored

    def drop(self, reference: str) -> None:
        self.resources.pop(reference, None)
        self.history.append((reference, None))

    async def read(self, asked: Any) -> Any:
        """One reference, or a batch of them."""
        if isinstance(asked, str):
            return self._read(asked)
        return [self._bundle(one) if "?" in one else self._read(one) for one in asked]

    async def search(self, query: str) -> list[Json]:
        type, _, asked = query.partition("?")
        given = dict(one.split("=", 1) for one in asked.split("&"))
        found = [one for one in self.resources.values() if one["resourceType"] == type]
        for name, value in given.items():
            if name == "identifier":
                wanted = [tuple(unquote(one).replace("\\", "").split("|", 1)) for one in value.split(",")]
                found = [one for one in found if not _identifiers(one).isdisjoint(wanted)]
            if name in {"subject", "patient"}:
                found = [one for one in found if _whose(one) == value]
        return found

    async def page(self, url: str) -> Json:
        type = url.partition("/")[0]
        seen = dict(one for one in self.history if one[0].startswith(f"{type}/"))
        entries = [
            {"resource": stored} if stored else {"request": {"method": "DELETE", "url": f"{self.base}/{reference}"}}
            for reference, stored in reversed(seen.items())
        ]
        return {"resourceType": "Bundle", "entry": entries}

    async def content(self, reference: str) -> bytes:
        return f"bytes of {reference}".encode()

    async def create(self, resource: Json, unless: str) -> Json:
        found = await self.search(f"{resource['resourceType']}?{unless}")
        self.writes += 1
        return found[0] if found else self.put({**resource, "id": f"new{len(self.history)}"})

    async def update(self, resource: Json, version: str) -> Json:
        self._refuse(f"{resource['resourceType']}/{resource['id']} written")
        self._require(f"{resource['resourceType']}/{resource['id']}", version)
        self.writes += 1
        return self.put(resource)

    async def delete(self, reference: str, version: str) -> None:
        self._refuse(f"{reference} deleted")
        self._require(reference, version)
        self.writes += 1
        self.drop(reference)

    async def transact(self, entries: Any) -> list[Json]:
        found = []
        for entry in entries:
            request = entry["request"]
            if request["method"] == "DELETE":
                self.drop(request["url"])
                continue
            if "ifMatch" in request:
                self._require(request["url"], request["ifMatch"][3:-1])
            if "ifNoneMatch" in request and request["url"] in self.resources:
                raise OvertakenError
            self.writes += request["url"].partition("/")[0] not in {"Basic", "Provenance", "Task"}
            found.append(self.put({"id": f"made{len(self.history)}", **entry["resource"]}))
        return found

    async def write(self, entries: Any) -> list[Json]:
        return await self.transact(entries)

    async def ask(self, operation: str, parameters: Json) -> Json:
        return {"entry": []}

    def of(self, type: str) -> list[Json]:
        return [one for one in self.resources.values() if one["resourceType"] == type]

    def _read(self, reference: str) -> Json | None:
        if reference.startswith("Consent/$decide"):
            return self.decided
        self._refuse(reference)
        return self.resources.get(reference)

    def _bundle(self, query: str) -> Json:
        type, _, asked = query.partition("?")
        wanted = tuple(unquote(asked.removeprefix("identifier=").partition("&")[0]).replace("\\", "").split("|", 1))
        found = [one for one in self.of(type) if wanted in _identifiers(one)]
        return {"entry": [{"resource": one} for one in found]}

    def _refuse(self, reference: str) -> None:
        if reference in self.refuses:
            status = self.refuses[reference]
            raise OvertakenError if status == 412 else RejectedError(status, "refused")

    def _require(self, reference: str, version: str) -> None:
        if self.resources[reference]["meta"]["versionId"] != version:
            raise OvertakenError


def _whose(resource: Json) -> str | None:
    found: Json = resource.get("subject") or resource.get("patient") or {}
    return found.get("reference")


def _identifiers(resource: Json) -> set[tuple[str, ...]]:
    return {(str(one.get("system")), str(one.get("value"))) for one in resource.get("identifier", ())}
