"""Row S58 for large data: nothing of it, of its text or of its hash stands in any byte of the database or its files."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

import bson
import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.store.embedded import EmbeddedMongo
from tests.clinics import InProcess, running
from tests.flows.scanning import disguised, everything, leaves
from tests.samples import patient

pytestmark = pytest.mark.anyio

LINES = [f"{number:06} Överström, 2 ml hyaluronic acid, {secrets.token_hex(8)}" for number in range(14_000)]
DATA = "\n".join(LINES).encode()
OTHER = "\n".join(reversed(LINES)).encode()
TEXT = base64.b64encode(DATA).decode()
OTHER_TEXT = base64.b64encode(OTHER).decode()
BROKEN = "\n".join(OTHER_TEXT[at : at + 76] for at in range(0, len(OTHER_TEXT), 76))
WORDS = frozenset({"_id", "owner", "state", "type", "id", "access", "subjects"})


@dataclass(frozen=True, slots=True)
class Scanned:
    documents: list[tuple[str, bytes]]
    files: list[Path]


def document(person: str, *texts: str) -> Json:
    contents = [{"attachment": {"contentType": "text/plain", "data": text}} for text in texts]
    subject = {"reference": f"Patient/{person}"}
    return {"resourceType": "DocumentReference", "status": "current", "subject": subject, "content": contents}


async def fill(inside: InProcess) -> None:
    """Every way in which large data is kept, shared, replaced and left behind."""
    doctor = inside.caller()
    person = (await doctor.store(patient()))["id"]
    made = await doctor.store(document(person, TEXT, BROKEN))
    path = f"/fhir/DocumentReference/{made['id']}"
    patch = json.encode([{"op": "remove", "path": "/content/0"}])
    await doctor.ask("PATCH", path, patch, Content_Type="application/json-patch+json")
    await doctor.get(path)
    await doctor.put(path, {**document("nobody-yet", TEXT), "id": made["id"]})
    await doctor.post("/fhir/Binary", DATA, Content_Type="text/plain", X_Security_Context=f"Patient/{person}")
    assert (await doctor.put(path, {**document(person, TEXT), "id": made["id"]}, If_Match='W/"1"')).status_code == 412


@pytest.fixture(scope="module")
async def scanned(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    folder: Path = tmp_path_factory.mktemp("large")
    with EmbeddedMongo(folder / "mongo") as mongo:
        async with running(mongo.uri, "test_large", folder) as inside:
            await fill(inside)
            documents = list(everything(mongo.uri))
    return Scanned(documents, [path for path in (folder / "mongo").rglob("*") if path.is_file()])


def needles() -> set[bytes]:
    """Lines, pieces of the text as it came, and the hashes by which versions are compared."""
    lines = {form for line in LINES[::500] for form in disguised(line.encode())}
    texts = {text[at : at + 24].encode() for text in (TEXT, BROKEN) for at in range(0, len(text) - 24, 50_001)}
    plain = (DATA, OTHER, TEXT.encode(), BROKEN.encode())
    hashes = {form for one in plain for form in disguised(hashlib.sha256(one).digest())}
    return lines | texts | hashes


async def test_s58_nothing_of_large_data_stands_in_any_byte(scanned: Scanned) -> None:
    looked_for = needles()
    assert all(any(one in raw for one in looked_for) for raw in (DATA, OTHER, TEXT.encode(), BROKEN.encode()))
    chunks = [raw for name, raw in scanned.documents if name == "test_large.chunks"]
    assert len(chunks) > 12
    assert all(raw[100:120] in raw for raw in chunks), "the scan looks into large documents too"

    found = {(name, one) for name, raw in scanned.documents for one in looked_for if one in raw}

    assert found == set()


async def test_s58_the_rows_of_large_data_say_where_it_lies_and_no_more(scanned: Scanned) -> None:
    found = [bson.decode(raw) for name, raw in scanned.documents if name.endswith(".attachments")]
    rows = [row for row in found if "state" in row]
    words = {path[-1] for row in rows for path, _ in leaves(row)}

    assert len(rows) == 4
    assert {frozenset(row) for row in rows} == {frozenset({"_id", "owner", "state", "since", "key"})}
    assert words <= WORDS


async def test_s58_nothing_of_large_data_lies_in_the_files_of_the_database(scanned: Scanned) -> None:
    telling = [LINES[number].encode() for number in range(0, len(LINES), 1_000)] + [TEXT[:60].encode()]

    found = set()
    for path in scanned.files:
        content = path.read_bytes()
        found |= {(path.name, one) for one in telling if one in content}

    assert found == set()
