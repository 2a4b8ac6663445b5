"""Where the log cannot be written, nothing is done and nothing leaves: 503."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx2 import Response
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.flows.bundles import batch
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

Ask = Callable[[Caller], Awaitable[Response]]
NEW = patient("Recorded")


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module")
async def person(doctor: Caller) -> str:
    stored = await doctor.store(patient("Recorded", id="recorded"))
    await doctor.store(consent(stored["id"]))
    return str(stored["id"])


@pytest.fixture(scope="module")
async def photo(doctor: Caller, person: str) -> Json:
    return await doctor.store(media(person, jpeg()))


ANY: dict[str, Ask] = {
    "read": lambda who: who.get("/fhir/Patient/recorded"),
    "vread": lambda who: who.get("/fhir/Patient/recorded/_history/1"),
    "search": lambda who: who.get("/fhir/Patient?_id=recorded"),
    "capabilities": lambda who: who.get("/fhir/metadata"),
    "create": lambda who: who.post("/fhir/Patient", patient("Unrecorded")),
    "update": lambda who: who.put("/fhir/Patient/recorded", {**patient("Unrecorded"), "id": "recorded"}),
    "delete": lambda who: who.delete("/fhir/Patient/recorded"),
    "delete nothing": lambda who: who.delete("/fhir/Patient/never-was"),
    "transaction": lambda who: who.post("/fhir", batch("transaction", ("POST", "Patient", patient("Unrecorded")))),
    "refusal": lambda who: who.get("/fhir/Patient/never-was"),
    "bad body": lambda who: who.post("/fhir/Patient", b"{"),
}


@pytest.mark.parametrize("what", ANY)
async def test_r_balp_020_what_cannot_be_recorded_does_not_happen(
    clinic: InProcess, doctor: Caller, person: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    before, version = await clinic.counts(), await current(clinic)
    unplug_the_log(clinic, monkeypatch)

    answer = await ANY[what](doctor)

    assert answer.status_code == 503, answer.text
    assert read(answer)["resourceType"] == "OperationOutcome"
    assert answer.headers["retry-after"]
    assert b"Recorded" not in answer.content
    monkeypatch.undo()
    assert await clinic.counts() == before
    assert await current(clinic) == version
    assert (await ANY["read"](doctor)).status_code == 200, "it recovers"


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"Accept": "application/fhir+json"}])
async def test_a_photo_does_not_leave_unrecorded(
    clinic: InProcess, doctor: Caller, photo: Json, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    unplug_the_log(clinic, monkeypatch)

    answer = await doctor.get(f"/fhir/{photo['content']['url']}", **headers)

    assert answer.status_code == 503
    assert b"\xff\xd8" not in answer.content


async def test_r_balp_020_each_entry_of_a_batch_that_cannot_be_recorded_fails(
    clinic: InProcess, doctor: Caller, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unplug_the_log(clinic, monkeypatch)

    answer = await doctor.post("/fhir", batch("batch", ("GET", "Patient/recorded", None), ("POST", "Patient", NEW)))

    assert [entry["response"]["status"] for entry in read(answer)["entry"]] == ["503", "503"]
    assert b"Recorded" not in answer.content


async def current(clinic: InProcess) -> int:
    row = await clinic.mongo[clinic.database]["resources"].find_one({"_id": "Patient/recorded"})
    assert row is not None
    return int(row["version"])


def unplug_the_log(clinic: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every insert into the audit collection fails, in a transaction and outside of one."""
    insert_many = AsyncCollection.insert_many

    async def failing(self: AsyncCollection[Json], *given: Any, **more: Any) -> Any:
        if self.name == "audit":
            raise AutoReconnect("the log is unplugged")
        return await insert_many(self, *given, **more)

    monkeypatch.setattr(AsyncCollection, "insert_many", failing)
