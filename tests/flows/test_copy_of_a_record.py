"""`Patient/$export-my-data`: an archive that opens without software, is whole, and can be taken elsewhere."""

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fhir_server.crypto.jws import verify_jws
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.signing import Signer
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.privacy.receipt import RECEIPT_TYPE
from tests.clinics import Caller, InProcess, read, running
from tests.people import Case, of_patient, staff
from tests.samples import jpeg, media

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def case(clinic: InProcess) -> Case:
    case = await Case(clinic).begin("Wolkenstein <script>alert(1)</script>")
    await case.desk.store(media(case.patient, jpeg(300_000), createdDateTime="2026-02-03"))
    return case


@pytest.fixture(scope="module")
async def archive(case: Case) -> zipfile.ZipFile:
    # As the worker does all the time; what all other tests recorded may be more than one search has time for.
    await case.clinic.clinic.store.events.index()
    owner = of_patient(case.clinic, case.patient)
    answer = await owner.get(f"/fhir/Patient/{case.patient}/$export-my-data?language=fr", Accept="application/zip")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="record.zip"'
    return zipfile.ZipFile(io.BytesIO(answer.content))


def bundle(archive: zipfile.ZipFile) -> list[Json]:
    said: Json = json.decode(archive.read("bundle.json"))
    assert (said["resourceType"], said["type"]) == ("Bundle", "collection")
    assert all(
        one["fullUrl"].endswith(f"{one['resource']['resourceType']}/{one['resource']['id']}") for one in said["entry"]
    )
    return [one["resource"] for one in said["entry"]]


async def test_s_49_s_109_it_holds_all_that_everything_gives_to_the_patient(
    case: Case, archive: zipfile.ZipFile
) -> None:
    found = read(await of_patient(case.clinic, case.patient).get(f"/fhir/Patient/{case.patient}/$everything"))
    given = {f"{one['resource']['resourceType']}/{one['resource']['id']}": one["resource"] for one in found["entry"]}

    packed = {f"{one['resourceType']}/{one['id']}": one for one in bundle(archive)}

    assert packed == given
    assert {"Patient", "Observation", "Consent", "Media"} <= {key.partition("/")[0] for key in packed}


async def test_s_49_each_photo_is_a_file_with_its_hash_and_the_log_is_with_it(
    case: Case, archive: zipfile.ZipFile
) -> None:
    photo = (await case.desk.get(f"/fhir/{case.photo}")).content
    manifest = json.decode(archive.read("manifest.json"))

    listed = {one["path"]: one for one in manifest["files"]}

    assert listed.keys() == set(archive.namelist()) - {"manifest.json", "manifest.jws"}
    for path, one in listed.items():
        content = archive.read(path)
        assert (one["size"], one["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert archive.read(f"photos/{case.photo.removeprefix('Binary/')}.jpg") == photo
    events = json.decode(archive.read("access-log.json"))["entry"]
    assert {one["resource"]["resourceType"] for one in events} == {"AuditEvent"}
    assert manifest["resources"]["Media"] == 2


async def test_the_clinic_has_signed_the_manifest(clinic: InProcess, archive: zipfile.ZipFile) -> None:
    secret = await clinic.clinic.keyring.named("receipts", KeyClass.SIGNING)

    signed = verify_jws(archive.read("manifest.jws").decode(), Signer(secret).public, RECEIPT_TYPE)

    assert signed == archive.read("manifest.json")


class Page(HTMLParser):
    """What a page is made of, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.languages: list[str] = []
        self.fetched: list[str] = []
        self.without_alternative = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.languages += [given["lang"] or ""] if "lang" in given else []
        self.fetched += [each for name in ("src", "href") if (each := given.get(name))]
        self.without_alternative += tag == "img" and not given.get("alt")


async def test_the_page_opens_offline_in_two_languages_and_cannot_act(archive: zipfile.ZipFile) -> None:
    text = archive.read("index.html").decode()
    page = Page(text)

    assert page.languages[0] == "fr", "as asked for"
    assert {"en", "fr"} <= set(page.languages)
    assert "Votre dossier" in text
    assert "Your record" in text
    assert not {"script", "iframe", "link", "object", "form"} & set(page.tags)
    assert not re.search(r"https?://(?!www\.w3\.org/1999/xhtml)", re.sub(r"<li>.*</li>", "", text))
    assert "&lt;script&gt;" in text
    assert set(page.fetched) == {name for name in archive.namelist() if name.startswith("photos/")}
    assert page.without_alternative == 0
    assert {"h1", "h2", "main", "header", "footer", "legend", "label"} <= set(page.tags)


@pytest.fixture
async def other(mongo_uri: str, tmp_path: Path) -> AsyncIterator[Caller]:
    async with running(mongo_uri, "portability", tmp_path) as clinic:
        yield clinic.caller()


async def test_s_52_another_server_takes_it_and_has_the_same(archive: zipfile.ZipFile, other: Caller) -> None:
    """Each resource by PUT, each photo from its file: what comes back differs in what a server gives alone."""
    photos = {name.split("/")[1].split(".")[0]: archive.read(name) for name in archive.namelist() if "photos/" in name}
    order = ("Patient", "Consent")
    resources = sorted(bundle(archive), key=lambda one: one["resourceType"] not in order)

    for one in resources:
        sent = one
        if one["resourceType"] == "Media":
            content = {name: value for name, value in one["content"].items() if name not in {"url", "size", "hash"}}
            taken = photos[one["content"]["url"].removeprefix("Binary/")]
            sent = {**one, "content": {**content, "data": base64.b64encode(taken).decode()}}
        back = await other.store(sent)
        assert kept(back) == kept(one)
        if "data" in sent.get("content", {}):
            answer = await other.get(f"/fhir/{back['content']['url']}")
            assert base64.b64encode(answer.content).decode() == sent["content"]["data"]


def kept(resource: Json) -> Json:
    """Without what each server gives: version, time, address of the photo, and the hash of what was sent to it."""
    meta = {name: value for name, value in resource["meta"].items() if name not in {"versionId", "lastUpdated"}}
    content = {name: value for name, value in resource.get("content", {}).items() if name not in {"url", "extension"}}
    return {**resource, "meta": meta, **({"content": content} if content else {}), "text": resource["text"]["status"]}


async def test_head_says_what_get_would_give_and_gathers_nothing(case: Case) -> None:
    owner, path = of_patient(case.clinic, case.patient), f"/fhir/Patient/{case.patient}/$export-my-data"
    async with case.clinic.trail.recording() as recorded:
        answer = await owner.ask("HEAD", path)

    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "application/zip", b"")
    assert len(recorded.events) == 1


async def test_s_55_a_dry_run_says_how_much_it_would_be(case: Case) -> None:
    owner = of_patient(case.clinic, case.patient)

    answer = read(await owner.get(f"/fhir/Patient/{case.patient}/$export-my-data?dryRun=true"))

    told = {one["part"][0]["valueCode"]: one["part"][1]["valueUnsignedInt"] for one in answer["parameter"][1:]}
    assert (told["Patient"], told["Media"], told["Observation"]) == (1, 2, 1)


@pytest.mark.parametrize("query", ["language=de", "dryRun=perhaps", "colour=red", "language=en&language=fr"])
async def test_what_it_does_not_take_is_refused(case: Case, query: str) -> None:
    owner = of_patient(case.clinic, case.patient)

    assert (await owner.get(f"/fhir/Patient/{case.patient}/$export-my-data?{query}")).status_code == 400


async def test_nobody_gets_the_copy_of_another(case: Case) -> None:
    path = f"/fhir/Patient/{case.patient}/$export-my-data"
    stranger = await Case(case.clinic).begin()

    assert (await of_patient(case.clinic, stranger.patient).get(path)).status_code == 404
    for role in ("receptionist", "privacy-officer", "auditor", "marketing"):
        assert (await staff(case.clinic, role).get(path)).status_code == 403
    untied = zipfile.ZipFile(io.BytesIO((await staff(case.clinic, "practitioner").get(path)).content))
    assert {one["resourceType"] for one in bundle(untied)} == {"Patient"}
    assert "access-log.json" not in untied.namelist()


async def test_a_photo_whose_consent_was_withdrawn_is_not_in_it(clinic: InProcess) -> None:
    case = await Case(clinic).begin()
    owner = of_patient(clinic, case.patient)
    [consent] = read(await owner.get(f"/fhir/Consent?patient={case.patient}"))["entry"]
    await owner.post(f"/fhir/Consent/{consent['resource']['id']}/$withdraw")

    answer = await owner.get(f"/fhir/Patient/{case.patient}/$export-my-data")

    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    assert not [name for name in packed.namelist() if name.startswith("photos/")]
    assert "Media" not in {one["resourceType"] for one in bundle(packed)}
