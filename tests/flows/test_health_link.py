"""A SMART Health Link: made by the patient, opened by a reader of the specification, and over when it has to be."""

import asyncio
import base64
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from httpx2 import Response

from fhir_server.engine.call import ANONYMOUS, Call, Interaction
from fhir_server.engine.ports import Head
from fhir_server.kernel import json
from fhir_server.kernel.errors import NotFoundError
from fhir_server.kernel.json import Json
from fhir_server.privacy.shlinks.link import TRIES
from fhir_server.privacy.shlinks.making import HealthLinks
from fhir_server.privacy.shlinks.opening import Opening
from fhir_server.privacy.shlinks.opening import Request as Sent
from tests.clinics import Caller, InProcess, read
from tests.fakes.clock import FakeClock
from tests.flows.erasures import Record
from tests.people import of_patient, staff
from tests.samples import consent

pytestmark = pytest.mark.anyio

PASSCODE = "correct horse"


def asking(**more: Json) -> Json:
    given = {"passcode": {"valueString": PASSCODE}, **more}
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in given.items()]}


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def opened(content: str, key: bytes) -> Json:
    """A compact JWE by RFC 7516: direct key, AES-256-GCM, DEFLATE; with nothing of the server."""
    head, wrapped, nonce, body, tag = content.split(".")
    header = json.decode(unpadded(head))
    assert (header["alg"], header["enc"], header["zip"], wrapped) == ("dir", "A256GCM", "DEF", "")
    packed = AESGCM(key).decrypt(unpadded(nonce), unpadded(body) + unpadded(tag), head.encode())
    found: Json = json.decode(zlib.decompress(packed, wbits=-15))
    return found


@dataclass(frozen=True)
class Reader:
    """Who was handed the link: no token, nothing but what is in it and what was said."""

    clinic: InProcess
    payload: Json

    @classmethod
    def of(cls, clinic: InProcess, link: str) -> "Reader":
        return cls(clinic, json.decode(unpadded(link.removeprefix("shlink:/"))))

    @property
    def path(self) -> str:
        return str(self.payload["url"]).removeprefix(self.clinic.clinic.settings.base_url)

    async def ask(self, passcode: str = PASSCODE, **more: Any) -> Response:
        body = {"recipient": "Dr. Elsewhere", "passcode": passcode, **more}
        return await self.clinic.stranger.post(self.path, json.encode(body), Content_Type="application/json")

    async def read(self, **more: Any) -> Json:
        answer = await self.ask(**more)
        assert answer.status_code == 200, answer.text
        [file] = read(answer)["files"]
        content = file.get("embedded") or (await self.fetched(file["location"])).text
        return opened(content, unpadded(self.payload["key"]))

    async def fetched(self, location: str) -> Response:
        return await self.clinic.stranger.get(location.removeprefix(self.clinic.clinic.settings.base_url))


@pytest.fixture(scope="module")
async def record(clinic: InProcess) -> Record:
    return await Record(clinic, "2024-05-06").begin(photos=0)


async def linked(record: Record, who: Caller | None = None, **more: Json) -> tuple[Reader, str]:
    them = who or of_patient(record.clinic, record.patient)
    answer = await them.post(f"/fhir/Patient/{record.patient}/$health-link", asking(**more))
    assert answer.status_code == 201, answer.text
    told = {one["name"]: one for one in read(answer)["parameter"]}
    return Reader.of(record.clinic, told["link"]["valueUri"]), told["document"]["valueReference"]["reference"]


async def test_m_4_a_reader_opens_it_with_nothing_but_the_link_and_the_passcode(record: Record) -> None:
    reader, document = await linked(record, label={"valueString": "My summary"})

    assert (reader.payload["flag"], reader.payload["v"], reader.payload["label"]) == ("P", 1, "My summary")
    assert len(reader.payload["key"]) == 43
    assert len(reader.payload["url"]) <= 128
    found = await reader.read()
    assert (found["resourceType"], found["type"]) == ("Bundle", "document")
    assert found["entry"][1]["resource"]["id"] == record.patient
    assert (await reader.ask()).headers["access-control-allow-origin"] == "*"
    kept = (await record.desk.get(f"/fhir/{document}")).text
    assert reader.payload["key"] not in kept
    assert reader.path.rpartition("/")[2] not in kept, "who has the database has neither the address nor the key"


async def test_a_file_that_is_too_long_to_be_embedded_is_fetched_while_the_manifest_is_fresh(record: Record) -> None:
    reader, _ = await linked(record)

    assert (await reader.read(embeddedLengthMax=10))["type"] == "document"

    [file] = read(await reader.ask(embeddedLengthMax=0))["files"]
    assert (await reader.fetched(file["location"])).headers["content-type"] == "application/jose"
    for wrong in (f"{file['location']}x", file["location"].replace("/shl/", "/shl/0"), f"{reader.payload['url']}/x"):
        assert (await reader.fetched(wrong)).status_code == 404
    for path in (reader.path, f"{reader.path}/x"):
        answer = await reader.clinic.stranger.ask("OPTIONS", path)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")


async def test_wrong_passcodes_end_it_and_the_right_one_takes_the_count_back(record: Record) -> None:
    reader, _ = await linked(record)

    wrong = await reader.ask("wrong one")
    assert (wrong.status_code, read(wrong)) == (401, {"remainingAttempts": TRIES - 1})
    assert (await reader.ask()).status_code == 200
    answers = await asyncio.gather(*(reader.ask(f"guess {number}") for number in range(TRIES + 3)))

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [*[401] * TRIES, *[404] * 3], "those who try at once have no more tries than one"
    assert (await reader.ask()).status_code == 404


async def test_it_ends_when_it_is_taken_back_and_nothing_of_it_is_left(record: Record) -> None:
    reader, document = await linked(record)
    them = of_patient(record.clinic, record.patient)
    path = f"/fhir/Patient/{record.patient}/$health-link"

    for wrong, status in (("", 400), ("?link=Patient/x", 400), ("?link=DocumentReference/none", 404)):
        assert (await them.delete(f"{path}{wrong}")).status_code == status
    assert (await them.delete(f"{path}?link={document}")).status_code == 204

    assert (await reader.ask()).status_code == 404
    assert (await record.desk.get(f"/fhir/{document}/_history/1")).status_code in {404, 410}
    assert (await them.delete(f"{path}?link={document}")).status_code == 404


async def test_it_ends_with_its_day_and_is_swept(record: Record) -> None:
    rights, now = record.clinic.clinic.surface.rights, record.clinic.clinic.surface.clock.now()
    tomorrow = (now + timedelta(days=1)).date().isoformat()
    reader, document = await linked(record, expires={"valueDate": tomorrow})
    longer, _ = await linked(record)
    later = Call(Interaction.OPERATION, ANONYMOUS, now + timedelta(days=2), id=document.partition("/")[2])

    with pytest.raises(NotFoundError):
        await rights.opening.manifest(later, reader.path.rpartition("/")[2], Sent("Dr. Late", PASSCODE))
    ground = replace(rights.links._ground, clock=FakeClock(later.instant))
    await HealthLinks(
        rights.links._engine, rights.links._heads, rights.links._summaries, rights.links._versions, ground
    ).sweep()

    assert [(await each.ask()).status_code for each in (reader, longer)] == [404, 200]
    assert (await record.desk.get(f"/fhir/{document}")).status_code == 410


async def test_it_ends_with_a_withdrawal_and_with_an_erasure(clinic: InProcess) -> None:
    record = await Record(clinic, "2024-05-06").begin(photos=0)
    withdrawn, document = await linked(record)
    answer = await record.desk.post(f"{record.paths['consent']}/$withdraw")
    assert answer.status_code == 200, answer.text
    assert (await withdrawn.ask()).status_code == 404
    erased, other = await linked(record)

    await clinic.clinic.surface.rights.links.sweep()
    assert (await record.desk.get(f"/fhir/{document}")).status_code == 410
    assert (await record.erase()).status_code == 200

    assert (await erased.ask()).status_code == 404
    assert (await record.desk.get(f"/fhir/{other}")).status_code == 410


async def test_a_consent_that_changes_in_that_very_moment_counts(record: Record) -> None:
    reader, document = await linked(record)
    opening = record.clinic.clinic.surface.rights.opening
    before = await opening._heads.heads([record.patient])

    class Remembered:
        async def heads(self, patients: Collection[str]) -> Mapping[str, Head]:
            return before

    await record.desk.store(consent(record.patient, "research"))
    late = Opening(opening._engine, Remembered(), opening._ground)
    call = Call(Interaction.OPERATION, ANONYMOUS, opening._ground.clock.now(), id=document.partition("/")[2])

    with pytest.raises(NotFoundError):
        await late.manifest(call, reader.path.rpartition("/")[2], Sent("Dr. Late", PASSCODE))


@pytest.mark.usefixtures("indexed")
async def test_each_opening_is_recorded_as_a_disclosure_to_whom_it_says(clinic: InProcess, record: Record) -> None:
    reader, _ = await linked(record)
    await reader.ask("wrong one")
    await reader.ask()
    await clinic.clinic.store.events.index()

    auditor = clinic.caller("user/AuditEvent.rs", role="auditor", fhir_user="Practitioner/auditor")
    found = read(await auditor.get(f"/fhir/AuditEvent?patient=Patient/{record.patient}&subtype=disclose"))

    events = [one["resource"] for one in found["entry"]]
    told = [agent["who"] for event in events for agent in event["agent"] if "display" in agent["who"]]
    assert {"display": "Dr. Elsewhere"} in told
    assert PASSCODE not in str(events)
    assert reader.payload["key"] not in str(events)


async def test_only_patients_and_whoever_acts_for_them_hand_it_out(record: Record) -> None:
    path = f"/fhir/Patient/{record.patient}/$health-link"
    for role in ("practitioner", "privacy-officer", "marketing"):
        assert (await staff(record.clinic, role).post(path, asking())).status_code == 403
    other = of_patient(record.clinic, "somebody-else")
    assert (await other.post(path, asking())).status_code == 404
    assert (await record.desk.post("/fhir/Patient/nobody/$health-link", asking())).status_code == 404


WRONG: Sequence[tuple[Json, int]] = (
    ({"passcode": {"valueString": "short"}}, 422),
    ({"passcode": {"valueString": "x" * 300}}, 422),
    ({"label": {"valueString": "x" * 81}}, 422),
    ({"expires": {"valueDate": "2020-01-01"}}, 422),
    ({"expires": {"valueDate": "9999-12-31"}}, 422),
    ({"expires": {"valueDate": "soon"}}, 422),
    ({"viewer": {"valueString": "x"}}, 400),
)


@pytest.mark.parametrize(("more", "status"), WRONG)
async def test_what_is_not_asked_right_is_refused(record: Record, more: Json, status: int) -> None:
    them = of_patient(record.clinic, record.patient)
    assert (await them.post(f"/fhir/Patient/{record.patient}/$health-link", asking(**more))).status_code == status


async def test_a_request_names_its_recipient_and_an_unknown_link_is_none(record: Record) -> None:
    reader, _ = await linked(record)
    for raw in (
        b"{}",
        b'{"recipient": ""}',
        b'{"recipient": "x", "passcode": 1}',
        b"[]",
        b'{"recipient": "%s"}' % (b"x" * 300),
    ):
        answer = await record.clinic.stranger.post(reader.path, raw, Content_Type="application/json")
        assert answer.status_code == 400
    assert (await reader.ask(embeddedLengthMax=True)).status_code == 400
    for path in ("/shl/none/x", "/shl/%20/x", f"{reader.path}x"):
        answer = await record.clinic.stranger.post(
            path, json.encode({"recipient": "x", "passcode": "y"}), Content_Type="application/json"
        )
        assert answer.status_code == 404


async def test_no_client_files_or_alters_what_is_behind_a_link(record: Record) -> None:
    reader, document = await linked(record)
    kept = read(await record.desk.get(f"/fhir/{document}"))

    assert (await record.desk.put(f"/fhir/{document}", {**kept, "description": "x"})).status_code == 405
    assert (
        await record.desk.put("/fhir/DocumentReference/forged-link", {**kept, "id": "forged-link"})
    ).status_code == 422
    assert (await reader.ask()).status_code == 200
