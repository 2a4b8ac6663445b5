"""What must hold after somebody was killed: what was acknowledged is there, and whatever is there is whole."""

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from httpx2 import AsyncClient

from fhir_server.crypto.providers.file import FileProvider
from fhir_server.engine.stored import Stored
from fhir_server.kernel import json
from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from fhir_server.store.attachments import Attachment
from fhir_server.store.clinic import ClinicStore, open_store
from fhir_server.store.connection import connect
from tests.contract.clinics import opened_events
from tests.flows.load import Acknowledged, speaking

DATABASE = "clinic"


class Place(Protocol):
    """A clinic in processes of its own: where it is asked, its base URL, and its data directory."""

    @property
    def address(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def folder(self) -> Path: ...
    @property
    def mongo_uri(self) -> str: ...
    def token(self) -> str: ...


async def assert_all_there(place: Place, acknowledged: Acknowledged) -> None:
    """Every version, deletion and photo of which a client was told reads back."""
    token = await asyncio.to_thread(place.token)
    async with speaking(place.address, token) as http:
        room = asyncio.Semaphore(16)

        async def check(key: str, word: str) -> str | None:
            async with room:
                return await missing(http, key, word)

        found = await asyncio.gather(*(check(key, word) for key, word in acknowledged.resources.items()))
        assert [key for key in found if key] == []
        for binary, digest in (acknowledged.photos | acknowledged.documents).items():
            answer = await http.get(f"/fhir/{binary}", headers={"Accept": "image/jpeg"})
            assert (answer.status_code, hashlib.sha256(answer.content).hexdigest()) == (200, digest)


async def missing(http: AsyncClient, key: str, word: str) -> str | None:
    """None where it is there as it was acknowledged."""
    if key.endswith(" is deleted"):
        answer = await http.get(f"/fhir/{key.removesuffix(' is deleted')}")
        return None if answer.status_code == 410 else f"{key}: {answer.status_code}"
    answer = await http.get(f"/fhir/{key}")
    return None if answer.status_code == 200 and word in answer.text else f"{key}: {answer.status_code}"


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[ClinicStore]:
    provider = FileProvider.create(place.folder / "keys" / "root.json")
    base = f"{place.base_url}/fhir"
    async with open_store(place.mongo_uri, DATABASE, base, provider, SystemClock(), secrets.token_bytes) as store:
        yield store


async def assert_whole(place: Place) -> None:
    """Whatever is there is there with all that belongs to it."""
    rows = await raw_rows(place)
    keys = [ResourceKey(row["type"], row["id"]) for row in rows["resources"]]
    async with opened(place) as store:
        current = dict(await store.resources.read_many(keys))
        events = list((await opened_events(place.mongo_uri, DATABASE, store)).items())
        assert set(current) == set(keys), "each row opens"
        assert_history_is_complete(rows, current)
        assert_each_version_has_its_event(rows, [event for _, event in events])
        assert_no_gap([writer_and_number for writer_and_number, _ in events])
        assert_transactions_are_whole(list(current.values()))
        await assert_photos_are_whole(store, rows, current)
        await assert_large_data_is_whole(rows, list(current.values()))
        await assert_tokens_find_exactly_what_is_there(store, list(current.values()))
        heads = {row["_id"] for row in rows["heads"]}
        assert {patient for stored in current.values() for patient in stored.subjects} <= heads


async def raw_rows(place: Place) -> dict[str, list[Json]]:
    client = connect(place.mongo_uri)
    try:
        names = ("resources", "history", "heads", "photos", "attachments", "chunks")
        return {name: await client[DATABASE][name].find().to_list(None) for name in names}
    finally:
        await client.close()


def assert_history_is_complete(rows: dict[str, list[Json]], current: dict[ResourceKey, Stored]) -> None:
    earlier: dict[ResourceKey, list[int]] = {}
    for row in rows["history"]:
        earlier.setdefault(ResourceKey(row["type"], row["id"]), []).append(row["version"])
    assert set(earlier) <= set(current)
    for key, stored in current.items():
        assert sorted(earlier.get(key, [])) == list(range(1, stored.version))


def assert_each_version_has_its_event(rows: dict[str, list[Json]], events: Sequence[Json]) -> None:
    """And no event of a write tells of a version that is not there."""
    versions = {
        f"{row['type']}/{row['id']}/_history/{row['version']}" for row in (*rows["resources"], *rows["history"])
    }
    written = Counter(
        what
        for event in events
        if event["action"] in {"C", "U", "D"} and event["outcome"] == "0"
        for entity in event.get("entity", [])
        if "/_history/" in (what := entity.get("what", {}).get("reference", "")) and not what.startswith("Consent/")
    )
    assert set(written) == {one for one in versions if not one.startswith("Consent/")}
    assert max(written.values()) == 1


def assert_no_gap(places: Sequence[tuple[str, int]]) -> None:
    lanes: dict[str, list[int]] = {}
    for writer, number in places:
        lanes.setdefault(writer, []).append(number)
    assert all(sorted(numbers) == list(range(1, len(numbers) + 1)) for numbers in lanes.values())


def assert_transactions_are_whole(current: Sequence[Stored]) -> None:
    about = Counter(stored.resource["subject"]["reference"] for stored in current if stored.key.type == "Observation")
    patients = {
        str(stored.key)
        for stored in current
        if stored.key.type == "Patient"
        and not stored.deleted
        and stored.resource["name"][0]["family"].startswith("tx-")
    }
    assert about == Counter(dict.fromkeys(patients, 2))


async def assert_photos_are_whole(
    store: ClinicStore, rows: dict[str, list[Json]], current: dict[ResourceKey, Stored]
) -> None:
    live = {row["_id"]: row["owner"] for row in rows["photos"] if row["state"] == "live"}
    carried = {
        stored.resource["content"]["url"].removeprefix("Binary/"): str(key)
        for key, stored in current.items()
        if key.type == "Media"
    }
    assert live == carried
    for photo_id in live:
        photo = await store.photos.find(photo_id)
        assert photo is not None
        data = b"".join([part async for part in store.photos.stream(photo, 0, photo.length)])
        assert len(data) == photo.length
    known = {row["_id"] for row in (*rows["photos"], *rows["attachments"])}
    assert {row["_id"].partition("/")[0] for row in rows["chunks"]} <= known, "no bytes that no sweep would find"


async def assert_large_data_is_whole(rows: dict[str, list[Json]], current: Sequence[Stored]) -> None:
    """What is live belongs to a resource that is there, and the other way round; the pending is left to the sweep."""
    live = {row["_id"]: row["owner"] for row in rows["attachments"] if row["state"] == "live"}
    carried = [(stored, one) for stored in current for one in stored.attached if isinstance(one, Attachment)]

    assert live == {one.description.place.id: str(stored.key) for stored, one in carried}
    assert {row["state"] for row in rows["attachments"]} <= {"live", "pending"}
    for stored, one in carried:
        assert len((await stored.whole()).resource["data"]) == one.size


async def assert_tokens_find_exactly_what_is_there(store: ClinicStore, current: Sequence[Stored]) -> None:
    query = parse("Patient", [("birthdate", "1974-12-25")])
    found: list[Stored] = []
    position = None
    while True:
        page = await store.resources.find(query, position, 500)
        found += page.matches
        position = page.position
        if position is None:
            break
    alive = {stored.key for stored in current if stored.key.type == "Patient" and not stored.deleted}
    assert {stored.key for stored in found} == alive
    assert len(found) == len(alive)
    assert all(json.decode(stored.wire)["id"] == stored.key.id for stored in found)
