"""Rows S58, S106, T1, T103: every byte of every collection and of the oplog, and nothing sensitive in it."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
import pytest

from fhir_server.engine.classification import CLEAR
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.json import Json
from fhir_server.store.embedded import EmbeddedMongo
from tests.clinics import InProcess, running
from tests.flows.loaded import load
from tests.flows.scanning import WINDOW, by_beginning, disguised, everything, hits, leaves
from tests.samples import consent, jpeg, media, patient, synthea

pytestmark = pytest.mark.anyio

ADDRESS = frozenset(
    {
        "_id",
        "type",
        "id",
        "access",
        "subjects",
        "owner",
        "owners",
        "patient",
        "cause",
        "reason",
        "state",
        "name",
        "w",
        "ns",
        "kind",
        "method",
    }
)
"""Fields that say where a row lies and whom it concerns, in whatever collection, and the names of keys and tasks."""

BUNDLES = ("robby", "stanley")
HUMAN = {"family": "Överström", "given": ["Jo", "Šárka"], "text": "Dr. Jo Šárka Överström"}
SHORT = ("Jo", "Zx7", "Bö", "Qy9w")
TOLD = patient(
    name=[HUMAN],
    birthDate="1961-07-08",
    gender="female",
    telecom=[{"system": "phone", "value": "+49 30 5550 1234"}, {"system": "email", "value": "jo@sarka.example"}],
    address=[{"line": ["Kastanienallee 77b"], "city": "Bö", "postalCode": "Zx7", "country": "Qy9w"}],
    identifier=[{"system": "urn:oid:1.2.36.146.595.217.0.1", "value": "KVNR-A123456780"}],
)


@dataclass(frozen=True, slots=True)
class Scanned:
    """All that lies in the database, and all that must not be read there."""

    documents: list[tuple[str, bytes]]
    secrets: set[bytes]
    photo: bytes
    files: list[Path]


@pytest.fixture(scope="module")
async def scanned(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """A mongod of its own, so that its oplog holds what this clinic wrote and nothing else."""
    folder: Path = tmp_path_factory.mktemp("scan")
    with EmbeddedMongo(folder / "mongo") as mongo:
        async with running(mongo.uri, "test_scan", folder) as inside:
            secrets, photo = await fill(inside)
            documents = list(everything(mongo.uri))
    files = [path for path in (folder / "mongo").rglob("*") if path.is_file()]
    return Scanned(documents, secrets, photo, files)


async def fill(inside: InProcess) -> tuple[set[bytes], bytes]:
    """Bundles, a person, a photo and its destruction, searches, refusals: each kind of row there is."""
    doctor = inside.caller()
    texts: set[str] = set()
    for name in BUNDLES:
        await load(doctor, name)
        texts |= set(strings([entry["resource"] for entry in synthea(name)["entry"]]))
    person = await doctor.store(TOLD)
    given = consent(person["id"], dateTime="2026-01-05T09:08:07Z")
    await doctor.store(given)
    photo = jpeg(150_000, plain=True)
    shown = await doctor.store({**media(person["id"], photo), "note": [{"text": "left cheek, after filler"}]})
    lost = await doctor.store(TOLD)
    await doctor.put(f"/fhir/Patient/{person['id']}", {**person, "deceasedBoolean": False})
    await doctor.get("/fhir/Patient?name=Överström&birthdate=1961-07-08")
    await doctor.get("/fhir/Patient?name=" + "Nobodyatallwiththisname")
    await doctor.get(f"/fhir/{shown['content']['url']}")
    await doctor.post("/fhir/Patient", {**TOLD, "gender": "unheardofgender"})
    await doctor.delete(f"/fhir/Patient/{lost['id']}")
    await doctor.post(f"/fhir/Consent/{(await with_consent(inside))['consent']}/$withdraw")
    while await inside.clinic.worker.once():
        pass
    await inside.caller("system/AuditEvent.s").get("/fhir/AuditEvent?_count=5")
    texts |= {
        *strings(TOLD),
        *strings(given["provision"]),
        given["dateTime"],
        "left cheek, after filler",
        "Nobodyatallwiththisname",
        "unheardofgender",
    }
    allowed = clear_values() | served_types()
    return {text.encode() for text in texts if not any(text in word for word in allowed)}, photo


async def with_consent(inside: InProcess) -> Json:
    doctor = inside.caller()
    person = await doctor.store(patient("Destroyedlater"))
    given = await doctor.store(consent(person["id"]))
    await doctor.store(media(person["id"], jpeg()))
    return {"id": person["id"], "consent": given["id"]}


def clear_values() -> set[str]:
    """What the allow-list holds of the data that are loaded: the values of its elements, and no others."""
    resources = [entry["resource"] for name in BUNDLES for entry in synthea(name)["entry"]]
    return {resource[name] for resource in resources for name in CLEAR if isinstance(resource.get(name), str)} | {
        "active"
    }


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from strings(child)


async def test_the_scan_would_find_what_it_looks_for(scanned: Scanned) -> None:
    secret = next(one for one in scanned.secrets if len(one) > 20)
    needles = by_beginning(disguised(secret))

    for shift in range(3):
        assert hits(b"\x00" * 9 + base64.b64encode(bytes(shift) + secret + b"xyz"), needles)
    assert hits(b"abc" + secret + b"def", needles)
    assert hits(secret.hex().encode(), needles)


async def test_s58_t1_t103_no_value_stands_in_any_byte_of_any_collection_or_of_the_oplog(scanned: Scanned) -> None:
    needles = by_beginning({form for secret in scanned.secrets for form in disguised(secret)})
    assert len(needles) > 2_000, "real bundles hold more than this"
    assert {name for name, _ in scanned.documents} >= {
        *(
            f"test_scan.{name}"
            for name in ("resources", "history", "audit", "audit_index", "heads", "photos", "chunks")
        ),
        *("test_scan_keys.keys", "local.oplog.rs"),
    }

    found = {(name, hit) for name, raw in scanned.documents for hit in hits(raw, needles)}

    assert found == set()


async def test_s_58_t_56_no_piece_of_a_photo_stands_anywhere(scanned: Scanned) -> None:
    pieces = {scanned.photo[at : at + 16] for at in range(0, len(scanned.photo) - 16, 256)}
    jfif, exif = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", b"Exif\x00\x00MM"
    needles = by_beginning({*(form for piece in pieces for form in disguised(piece)), jfif, exif})

    assert {(name, hit) for name, raw in scanned.documents for hit in hits(raw, needles)} == set()


async def test_s58_short_values_stand_in_no_field_but_address_and_clear(scanned: Scanned) -> None:
    """A string outside these fields would be one that nobody reviewed; inside, only types, ids and allowed words."""
    short = {secret.decode() for secret in scanned.secrets if len(secret) < WINDOW} | set(SHORT)
    clinics = [raw for name, raw in scanned.documents if name.startswith("test_scan") and ".system." not in name]
    stray: set[tuple[str, ...]] = set()
    words: set[str] = set()
    for raw in clinics:
        for path, text in leaves(bson.decode(raw)):
            if path[0] == "clear" and path[1:] and path[1] in CLEAR:
                continue
            if path[-1] not in ADDRESS:
                stray.add((*path, text[:40]))
            words.add(text)

    # How the index is laid out is a row of rules and digests of definitions.
    known = {"idIndex", "info", "options", "active", "target"}
    assert {place for place in stray if place[0] not in known} == set()
    assert words & short == set()


async def test_s58_the_oplog_has_the_same_fields_and_no_others(scanned: Scanned) -> None:
    short = {secret.decode() for secret in scanned.secrets if len(secret) < WINDOW} | set(SHORT)
    oplog = [bson.decode(raw) for name, raw in scanned.documents if name == "local.oplog.rs"]
    words = {
        text for entry in oplog for path, text in leaves(entry) if "clear" not in path and path[-1] not in {"op", "ns"}
    }

    assert any("test_scan" in str(entry.get("ns")) or "applyOps" in entry.get("o", {}) for entry in oplog)
    assert words & short == set()


async def test_s58_what_is_clear_is_on_the_allow_list(scanned: Scanned) -> None:
    rows = [bson.decode(raw) for name, raw in scanned.documents if name in {"test_scan.resources", "test_scan.history"}]
    rows = [row for row in rows if "clear" in row]

    assert rows
    assert {name for row in rows for name in row["clear"]} <= CLEAR
    assert {value for row in rows for value in row["clear"].values()} <= clear_values() | {
        "completed",
        "inactive",
        "current",
    }


async def test_s58_the_log_of_the_database_says_nothing_either(scanned: Scanned) -> None:
    """Some codes are words that mongod's own sentences have; what has a digit, a capital or a space is not."""
    [log] = [path for path in scanned.files if path.name == "mongod.log"]
    telling = {secret for secret in scanned.secrets if not secret.islower()}

    assert hits(log.read_bytes(), by_beginning(telling)) == set()


async def test_s58_nothing_readable_lies_in_its_files(scanned: Scanned) -> None:
    """They are compressed in blocks, so this finds less than a look at the documents; it costs little."""
    telling = sorted(secret for secret in scanned.secrets if len(secret) >= 12)[::60]

    found = set()
    for path in scanned.files:
        content = path.read_bytes()
        found |= {(path.name, secret) for secret in telling if secret in content}

    assert found == set()
