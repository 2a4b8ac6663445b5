"""An erasure whose worker is stopped between two of its steps ends as one that was not; and who writes meanwhile."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import cast

import pytest

from fhir_server.crypto.keys import KeyId
from fhir_server.engine.tasks import Task
from fhir_server.media.ports import Photo, PhotoVault
from fhir_server.privacy.erasure import SHRED
from fhir_server.privacy.ports import Holding, Holdings
from fhir_server.privacy.shredding import Shredding
from tests.clinics import InProcess, read, running
from tests.flows.erasures import SECRET, Record, by_class
from tests.flows.exporting import begun, ended, lines, local
from tests.flows.scanning import by_beginning, disguised, everything, hits
from tests.flows.withdrawals import statement, until_done
from tests.samples import patient

pytestmark = pytest.mark.anyio


class KilledError(Exception):
    """The process ends here."""


class Killing:
    """A store whose process is killed before the step with this number, counted over all of its calls."""

    def __init__(self, clinic: InProcess, step: int) -> None:
        self.store, self.left = clinic.clinic.store, step

    def step(self) -> None:
        if self.left == 0:
            raise KilledError
        self.left -= 1

    async def of(self, patient: str) -> Sequence[Holding]:
        return await self.store.holdings.of(patient)

    async def destroy(self, what: Collection[bytes] | Sequence[Photo], reason: str) -> None:
        """Keys, or photos: one after the other, so that it also ends with half of them destroyed."""
        keys = [one for one in what if isinstance(one, bytes)]
        for part in [keys] if keys else [[one] for one in what]:
            self.step()
            if keys:
                await self.store.holdings.destroy(keys, reason)
            else:
                await self.store.photos.destroy(cast("list[Photo]", part), reason)
            self.step()

    async def of_patient(self, patient: str, states: Collection[str]) -> list[Photo]:
        return await self.store.photos.of_patient(patient, states)


@pytest.fixture(scope="module")
async def french(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder = tmp_path_factory.mktemp("interrupted")
    async with running(mongo_uri, "interrupted", folder, jurisdiction="fr", worker_interval=3600) as clinic:
        yield clinic


async def queued(clinic: InProcess, record: Record) -> Task:
    row = await clinic.mongo[clinic.database]["tasks"].find_one({"name": SHRED, "patient": record.patient})
    assert row
    return Task(row["name"], row["patient"], row["cause"])


@pytest.mark.parametrize("step", range(6))
async def test_killed_before_any_step_it_ends_the_same_when_it_runs_again(french: InProcess, step: int) -> None:
    record = await Record(french).begin(photos=2)
    answer = await record.erase()
    receipt = next(p for p in read(answer)["parameter"] if p["name"] == "receipt")["valueReference"]["reference"]
    killing, shredding = Killing(french, step), french.clinic.worker._handlers[SHRED]
    assert isinstance(shredding, Shredding)
    stopped = Shredding(
        french.clinic.engine,
        cast("Holdings", killing),
        cast("PhotoVault", killing),
        shredding._disclosures,
        shredding._scribe,
        french.clinic.surface.clock,
        shredding._server,
    )

    with pytest.raises(KilledError):
        await stopped(await queued(french, record))
    assert (await record.officer.get(f"/fhir/{receipt}")).status_code == 404
    gone = [name for name in record.paths if name != "consent"]
    assert await record.statuses(*gone) <= {404, 410}
    await until_done(french)

    said = await statement(french, read(await record.officer.get(f"/fhir/{receipt}")))
    assert len(said["photos"]) == 2
    keys = [KeyId(bytes.fromhex(key)) for key in (*said["keys"], *(photo["key"] for photo in said["photos"]))]
    assert await french.clinic.keyring.open_keys(keys) == {}
    tally = await french.mongo[f"{french.database}_keys"]["destroyed"].count_documents({"key": {"$in": keys}})
    assert tally == len(keys), "each once"


async def test_what_is_written_after_an_erasure_lasts(french: InProcess) -> None:
    record = await Record(french, "2024-05-06").begin()
    assert by_class(await record.erase())["contact"]["outcome"] == "erase"

    later = {"resourceType": "Appointment", "status": "booked", "start": "2030-01-01T10:00:00Z"}
    actors = [{"actor": {"reference": f"Patient/{record.patient}"}, "status": "accepted"}]
    booked = await record.desk.store({**later, "end": "2030-01-01T10:30:00Z", "participant": actors})
    await until_done(french)

    assert (await record.desk.get(f"/fhir/Appointment/{booked['id']}")).status_code == 200


async def test_what_is_sealed_in_that_very_moment_goes_with_the_receipt(french: InProcess) -> None:
    record = await Record(french).begin()
    rows = french.mongo[french.database]["resources"]
    one = record.paths["observation0"].removeprefix("/fhir/")
    late = await rows.find_one({"_id": one}) or {}
    await record.erase()
    await rows.insert_one({**late, "_id": "Observation/late", "id": "late"})

    assert (await record.desk.get("/fhir/Observation/late")).status_code == 404
    await until_done(french)

    stone = await rows.find_one({"_id": "Observation/late"}) or {}
    assert (stone["deleted"], stone["subjects"], stone["tokens"]) == (True, [], [])


async def test_an_export_with_something_erased_is_410(french: InProcess) -> None:
    record = await Record(french).begin()
    other = await record.desk.store(patient("Other"))
    status = await begun(record.desk, "/fhir/Patient/$export?_type=Observation,Patient")
    manifest = read(await ended(french, record.desk, status))
    urls = [local(file["url"]) for file in manifest["output"]]
    assert {(await record.desk.get(url, Accept="application/fhir+ndjson")).status_code for url in urls} == {200}

    await record.erase()

    assert {(await record.desk.get(url, Accept="application/fhir+ndjson")).status_code for url in urls} == {410}
    again = read(await ended(french, record.desk, await begun(record.desk, "/fhir/Patient/$export?_type=Patient")))
    ids = {one["id"] for file in again["output"] for one in await lines(record.desk, file["url"])}
    assert other["id"] in ids
    assert record.patient not in ids


async def test_m_5_no_byte_of_it_lies_readable_and_no_row_is_left_under_its_keys(
    french: InProcess, mongo_uri: str
) -> None:
    record = await Record(french).begin(photos=2)
    database = french.mongo[french.database]
    keys = {row["key"] async for row in database["resources"].find({"subjects": record.patient})}
    keys |= {row["key"] async for row in database["photos"].find({"subjects": record.patient})}
    proof = (await database["resources"].find_one({"_id": record.paths["consent"].removeprefix("/fhir/")}) or {})["key"]

    await record.erase()
    await until_done(french)

    assert await french.clinic.keyring.open_keys(list(keys)) == await french.clinic.keyring.open_keys([proof])
    for name in await database.list_collection_names():
        if name not in {"photos", "audit"}:
            assert await database[name].count_documents({"key": {"$in": list(keys - {proof})}}) == 0, name
    needles = by_beginning(disguised(SECRET.encode()))
    assert not [name for name, raw in everything(mongo_uri) if name.startswith("interrupted") and hits(raw, needles)]


async def test_a_thousand_resources_go_with_one_commit(french: InProcess) -> None:
    """Smaller than it says: the figure is the benchmark's."""
    record = await Record(french).begin(photos=5, observations=30)

    answer = await record.erase()

    assert by_class(answer)["record"]["resources"] == 1 + 30 + 5
    assert by_class(answer)["record"]["photos"] == 5
