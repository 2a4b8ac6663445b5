"""A client of Bulk Data: begins an export, has the worker run, and fetches what the manifest names."""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from httpx2 import Response

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read

ASKING = {"Accept": "application/fhir+json", "Prefer": "respond-async"}


def local(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


@dataclass
class Export:
    """One that has ended. `files`: type -> lines; `errors` and `deleted` likewise."""

    status: str
    manifest: Json
    files: dict[str, list[Json]] = field(default_factory=dict)
    deleted: list[Json] = field(default_factory=list)
    errors: list[Json] = field(default_factory=list)

    def ids(self, type: str) -> set[str]:
        return {one["id"] for one in self.files.get(type, [])}


async def kick_off(caller: Caller, path: str, body: Json | bytes = b"", **headers: str) -> Response:
    return await caller.ask("POST" if body else "GET", path, body, **{**ASKING, **headers})


async def begun(caller: Caller, path: str, body: Json | bytes = b"", **headers: str) -> str:
    """The path of its status."""
    answer = await kick_off(caller, path, body, **headers)
    assert answer.status_code == 202, answer.text
    return local(answer.headers["content-location"])


async def ended(clinic: InProcess, caller: Caller, status: str) -> Response:
    """Run by the worker at once: its task is moved to now."""
    await clinic.mongo[clinic.database]["tasks"].update_many(
        {"name": "bulk-export"}, {"$set": {"due": clinic.clinic.surface.clock.now()}}
    )
    while (answer := await caller.get(status, Accept="application/json")).status_code == 202:
        if not await clinic.clinic.worker.once():
            await asyncio.sleep(0.01)
    return answer


async def lines(caller: Caller, url: str) -> list[Json]:
    answer = await caller.get(local(url), Accept="application/fhir+ndjson")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    assert answer.content.endswith(b"\n")
    return [json.decode(line) for line in answer.content.removesuffix(b"\n").split(b"\n")]


async def exported(clinic: InProcess, caller: Caller, path: str, body: Json | bytes = b"", **headers: str) -> Export:
    status = await begun(caller, path, body, **headers)
    answer = await ended(clinic, caller, status)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found = Export(status, read(answer))
    for each in found.manifest["output"]:
        got = await lines(caller, each["url"])
        assert len(got) == each["count"]
        assert {one["resourceType"] for one in got} == {each["type"]}
        found.files.setdefault(each["type"], []).extend(got)
    for name, into in (("deleted", found.deleted), ("error", found.errors)):
        for each in found.manifest.get(name, []):
            into.extend(await lines(caller, each["url"]))
    return found
