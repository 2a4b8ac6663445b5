"""The log tells an erasure from a theft: what went by one is not missed, and what comes back is found."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhir_server.store.tree_walk import BreakError
from tests.clinics import InProcess, read, running
from tests.flows.erasures import Record
from tests.flows.test_pictures_elsewhere import letter
from tests.flows.withdrawals import until_done
from tests.samples import consent, jpeg, patient

pytestmark = pytest.mark.anyio


@pytest.fixture
async def clinic(mongo_uri: str, tmp_path: Path) -> AsyncIterator[InProcess]:
    async with running(mongo_uri, "provable", tmp_path, jurisdiction="fr", worker_interval=3600) as clinic:
        yield clinic


@pytest.fixture
async def record(clinic: InProcess) -> Record:
    found = await Record(clinic).begin()
    path = found.paths["observation0"]
    observation = read(await found.desk.get(path))
    await found.desk.put(path, {**observation, "status": "amended"})
    return found


async def erase(clinic: InProcess, record: Record) -> None:
    answer = await record.erase()
    assert answer.status_code == 200, answer.text
    await until_done(clinic)
    await clinic.clinic.store.sequencer.once()


async def test_a_database_is_sound_after_an_erasure(clinic: InProcess, record: Record) -> None:
    await erase(clinic, record)

    sound = await clinic.clinic.store.verification.verify([])

    assert sound.rows >= 10


@pytest.mark.parametrize("collection", ["resources", "history"])
async def test_m_16_an_erased_row_that_is_put_back_is_found(clinic: InProcess, record: Record, collection: str) -> None:
    rows = clinic.mongo[clinic.database][collection]
    name = record.paths["observation0"].removeprefix("/fhir/")
    was = await rows.find_one({"_id": name if collection == "resources" else f"{name}/_history/1"}) or {}
    await erase(clinic, record)

    await rows.replace_one({"_id": was["_id"]}, was, upsert=True)

    with pytest.raises(BreakError, match="it was erased, and was put back"):
        await clinic.clinic.store.verification.verify([])


async def test_a_row_that_went_without_an_erasure_is_still_missed(clinic: InProcess, record: Record) -> None:
    await erase(clinic, record)
    consent = record.paths["consent"].removeprefix("/fhir/")

    await clinic.mongo[clinic.database]["resources"].delete_one({"_id": consent})

    with pytest.raises(BreakError, match="is gone"):
        await clinic.clinic.store.verification.verify([])


async def test_a_database_is_sound_after_a_picture_was_taken_out_of_a_resource(mongo_uri: str, tmp_path: Path) -> None:
    async with running(mongo_uri, "provable_pictures", tmp_path, worker_interval=3600) as clinic:
        back_end = clinic.caller("system/*.cruds", client="archive")
        ann = str((await back_end.store(patient()))["id"])
        given = await back_end.store(consent(ann))
        stored = await back_end.store(letter(ann, jpeg(900)))
        rows = clinic.mongo[clinic.database]
        version = await rows["resources"].find_one({"_id": f"DocumentReference/{stored['id']}"})
        assert version is not None
        await back_end.post(f"/fhir/Consent/{given['id']}/$withdraw")
        await until_done(clinic)
        await clinic.clinic.store.sequencer.once()

        sound = await clinic.clinic.store.verification.verify([])

        assert sound.rows >= 4
        await rows["history"].insert_one({**version, "_id": f"{version['_id']}/_history/1"})
        with pytest.raises(BreakError, match="it was erased, and was put back"):
            await clinic.clinic.store.verification.verify([])
