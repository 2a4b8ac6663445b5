"""Whose key seals what: asked of the key store, and tried by destroying keys and opening again in another process.

Architecture section 5: a key per patient and erasure class; a resource with two patients has its own, wrapped for both.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fhir_server.crypto.keys import KeyClass, KeyId
from fhir_server.crypto.rows import KeyRow
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from fhir_server.store.clinic import ClinicStore
from fhir_server.store.connection import connect
from fhir_server.store.keys import Keys
from tests.contract.clinics import deleting, observation, patient, store_on, writing

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Vault:
    """A clinic's store, and a look at its wrapped keys."""

    uri: str
    database: str
    folder: Path
    store: ClinicStore

    async def put(self, *resources: Json) -> list[Stored]:
        stored: list[Stored] = []
        for resource in resources:
            previous = await self.store.resources.read(ResourceKey(resource["resourceType"], resource["id"]))
            stored += await self.store.resources.commit([writing(resource, previous)])
        return stored

    async def keys(self, *ids: KeyId, names: Sequence[str] = ()) -> list[KeyRow]:
        client = connect(self.uri)
        try:
            return list(await Keys(client, self.database).fetch(ids=ids, names=names))
        finally:
            await client.close()

    async def sealing(self, stored: Stored) -> KeyRow:
        """The row of the key under which this version is sealed."""
        [row] = await self.keys(KeyId(stored.raw["key"]))
        return row

    async def destroy(self, *owners: str, key_class: KeyClass = KeyClass.RECORD) -> None:
        [row] = await self.keys(names=[f"{key_class}/{','.join(owners)}"])
        await self.store.keyring.destroy([row.newest], "erasure")

    @asynccontextmanager
    async def elsewhere(self) -> AsyncIterator[ClinicStore]:
        """A process that remembers nothing."""
        async with store_on(self.uri, self.database, self.folder, SystemClock()) as store:
            yield store

    async def readable(self, *keys: str) -> list[str]:
        async with self.elsewhere() as store:
            asked = [ResourceKey(*key.split("/")) for key in keys]
            return sorted(str(key) for key in await store.resources.read_many(asked))


@pytest.fixture
async def vault(mongo_uri: str, database_name: str, tmp_path: Path) -> AsyncIterator[Vault]:
    async with store_on(mongo_uri, database_name, tmp_path, SystemClock()) as store:
        yield Vault(mongo_uri, database_name, tmp_path, store)


def shared(id: str, *patients: str) -> Json:
    """An appointment would be of another class; a group session is a record of each of them."""
    found = observation(id, patients[0])
    return {**found, "performer": [{"reference": f"Patient/{each}"} for each in patients[1:]]}


def typed(type: str, id: str, element: str, of: str, **more: object) -> Json:
    return {"resourceType": type, "id": id, element: {"reference": f"Patient/{of}"}, **more}


async def test_each_class_of_a_patient_has_a_key_of_its_own(vault: Vault) -> None:
    selling = [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HMARKT"}]}]
    stored = await vault.put(
        patient("ann"),
        observation("o", "ann"),
        typed("RelatedPerson", "r", "patient", "ann"),
        typed("Consent", "c", "patient", "ann"),
        typed("Communication", "m", "subject", "ann", category=selling),
        {"resourceType": "Organization", "id": "clinic"},
    )

    rows = [await vault.sealing(one) for one in stored]

    classes = [KeyClass.RECORD, KeyClass.RECORD, KeyClass.CONTACT, KeyClass.PROOF, KeyClass.MARKETING, KeyClass.CLINIC]
    assert [row.kind for row in rows] == classes
    assert [row.owners for row in rows] == [("ann",)] * 5 + [()]
    assert rows[0] == rows[1]
    assert len({row.newest for row in rows}) == 5


async def test_destroying_one_class_leaves_the_others(vault: Vault) -> None:
    selling = [{"coding": [{"system": "urn:aesthetic-fhir-server:purpose", "code": "marketing"}]}]
    await vault.put(
        patient("ann"),
        typed("Consent", "c", "patient", "ann"),
        typed("Communication", "m", "subject", "ann", category=selling),
    )

    await vault.destroy("ann", key_class=KeyClass.MARKETING)
    assert await vault.readable("Patient/ann", "Consent/c", "Communication/m") == ["Consent/c", "Patient/ann"]

    await vault.destroy("ann")
    assert await vault.readable("Patient/ann", "Consent/c", "Communication/m") == ["Consent/c"]


async def test_what_names_two_patients_has_a_key_of_its_own_wrapped_for_both(vault: Vault) -> None:
    ann, ben, both = await vault.put(patient("ann"), patient("ben"), shared("s", "ben", "ann"))

    row = await vault.sealing(both)

    wrappers = await vault.keys(names=["patient/ann", "patient/ben"])
    by_owner = {wrapper.owners[0]: wrapper.newest for wrapper in wrappers}
    assert row.owners == ("ann", "ben")
    assert [wrap.by for wrap in row.wraps] == [by_owner["ann"], by_owner["ben"]]
    assert len({wrap.key for wrap in row.wraps}) == 1, "one key, twice wrapped"
    assert len({wrap.blob for wrap in row.wraps}) == 2
    assert row.newest not in {(await vault.sealing(ann)).newest, (await vault.sealing(ben)).newest}


async def test_erasing_one_of_two_leaves_what_is_the_others_too(vault: Vault) -> None:
    """It is as much the other's record. Whether it goes as well is a decision of its own: it has a key of its own."""
    await vault.put(patient("ann"), patient("ben"), shared("s", "ann", "ben"))
    before = {row.owners[0]: row.newest for row in await vault.keys(names=["patient/ann", "patient/ben"])}

    await vault.destroy("ann")

    assert await vault.readable("Patient/ann", "Patient/ben", "Observation/s") == ["Observation/s", "Patient/ben"]
    after = {row.owners[0]: row.newest for row in await vault.keys(names=["patient/ann", "patient/ben"])}
    [row] = await vault.keys(names=["record/ann,ben"])
    assert after["ann"] != before["ann"], "an older copy of the wrapping key opens nothing any more"
    assert after["ben"] == before["ben"]
    assert [wrap.by for wrap in row.wraps] == [after["ann"], after["ben"]], "carried to the new one"


async def test_what_two_share_goes_for_both_and_takes_nothing_else_along(vault: Vault) -> None:
    await vault.put(patient("ann"), patient("ben"), shared("s", "ann", "ben"))

    await vault.destroy("ann", "ben")

    assert await vault.readable("Patient/ann", "Patient/ben", "Observation/s") == ["Patient/ann", "Patient/ben"]


async def test_a_new_patient_seals_anew_and_what_was_stays_under_the_old_one(vault: Vault) -> None:
    [first] = await vault.put(observation("o", "ann"))
    [second] = await vault.put(observation("o", "ben"))

    assert (await vault.sealing(first)).owners == ("ann",)
    assert (await vault.sealing(second)).owners == ("ben",)
    assert (second.subjects, second.access) == (("ben",), ("Patient/ben",))
    assert [one.version for one in await versions(vault.store)] == [2, 1]

    await vault.destroy("ann")

    async with vault.elsewhere() as store:
        assert [one.version for one in await versions(store)] == [2], "the version about ann is gone with her key"
        assert await store.resources.read_version(second.key, 1) is None
        current = await store.resources.read(second.key)
    assert current is not None
    assert current.resource["subject"] == {"reference": "Patient/ben"}


async def test_the_other_way_round_the_current_version_is_gone_and_the_first_stays(vault: Vault) -> None:
    await vault.put(observation("o", "ann"))
    await vault.put(observation("o", "ben"))

    await vault.destroy("ben")

    async with vault.elsewhere() as store:
        assert await store.resources.read(ResourceKey("Observation", "o")) is None
        assert [one.version for one in await versions(store)] == [1]


async def versions(store: ClinicStore) -> list[Stored]:
    return await store.resources.versions(["Observation"], "o", Window(), None, 10)


async def test_it_is_found_where_it_lies_now(vault: Vault) -> None:
    await vault.put(observation("o", "ann"))
    await vault.put(observation("o", "ben"))

    found = {
        of: (await vault.store.resources.find(parse("Observation", [("patient", of)]), None, 5)).matches
        for of in ("ann", "ben")
    }

    assert [len(found["ann"]), len(found["ben"])] == [0, 1]


async def test_who_comes_in_and_who_goes_out_of_a_shared_record(vault: Vault) -> None:
    one, two, back = [
        (await vault.put(resource))[0]
        for resource in (observation("o", "ann"), shared("o", "ann", "ben"), observation("o", "ann"))
    ]

    rows = [await vault.sealing(each) for each in (one, two, back)]

    assert [row.owners for row in rows] == [("ann",), ("ann", "ben"), ("ann",)]
    assert rows[0].newest == rows[2].newest != rows[1].newest


async def test_a_deletion_is_sealed_as_what_it_deleted(vault: Vault) -> None:
    [stored] = await vault.put(typed("Consent", "c", "patient", "ann"))
    [gone] = await vault.store.resources.commit([deleting(stored)])

    row = await vault.sealing(gone)

    assert (row.kind, row.owners) == (KeyClass.PROOF, ("ann",))


async def test_what_speaks_of_a_resource_belongs_to_its_patients(vault: Vault) -> None:
    target = [{"reference": "Observation/s"}]
    await vault.put(shared("s", "ann", "ben"))
    [stored] = await vault.put({"resourceType": "Provenance", "id": "p", "target": target})

    row = await vault.sealing(stored)

    assert (row.kind, row.owners) == (KeyClass.PROOF, ("ann", "ben"))


async def test_what_names_nobody_any_more_is_the_clinics(vault: Vault) -> None:
    device: Json = {"resourceType": "Device", "id": "laser"}
    implanted = {**device, "patient": {"reference": "Patient/ann"}}
    stored = await vault.put(device, implanted, device)

    rows = [await vault.sealing(each) for each in stored]

    assert [(row.kind, row.owners) for row in rows] == [
        (KeyClass.CLINIC, ()),
        (KeyClass.RECORD, ("ann",)),
        (KeyClass.CLINIC, ()),
    ]
