"""A pack of evidence holds what belongs to the named treatments, for one recipient, and proves itself to a stranger."""

import base64
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.crypto.jws import stated_payload
from fhir_server.engine.pictured import TAGS
from fhir_server.kernel import json
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import SIMULATED
from tests.architecture.files import ROOT
from tests.clinics import Caller, InProcess, read
from tests.flows.test_log_is_provable import sequenced
from tests.flows.treatments import CHEEK, Treated, site, treated
from tests.people import care_team, staff
from tests.samples import consent
from tests.unit.audit.profiles import faults

pytestmark = pytest.mark.anyio

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SOURCE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source"


@pytest.fixture(scope="module")
def office(clinic: InProcess) -> Caller:
    return clinic.caller(client="office")


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return staff(clinic, "practitioner", person="Practitioner/packer")


@pytest.fixture(scope="module")
async def insurer(office: Caller) -> str:
    stored = await office.store({"resourceType": "Organization", "name": "Assurance & Cie"})
    return f"Organization/{stored['id']}"


async def done_by(clinic: InProcess, office: Caller, **more: Any) -> Treated:
    done = await treated(clinic, office, **more)
    await office.store(care_team(done.patient, "Practitioner/packer"))
    return done


def asking(recipient: str, purpose: str = "HLEGAL", basis: str = "legal-claim", *others: str) -> Json:
    parameters: list[Json] = [
        {"name": "recipient", "valueReference": {"reference": recipient}},
        {"name": "purpose", "valueCode": purpose},
        {"name": "basis", "valueCode": basis},
    ]
    parameters += [{"name": "procedure", "valueReference": {"reference": other}} for other in others]
    return {"resourceType": "Parameters", "parameter": parameters}


async def asked(caller: Caller, done: Treated, body: Json, **headers: str) -> Response:
    return await caller.post(f"{done.path}/$evidence-pack", body, **headers)


def opened(answer: Response) -> tuple[dict[str, bytes], Json]:
    """The files by their paths, and what the manifest says."""
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
    stated: Json = json.decode(stated_payload(files["manifest.jws"].decode()))
    return files, stated


def records(files: dict[str, bytes]) -> set[str]:
    return {name.removeprefix("record/").removesuffix(".json") for name in files if name.startswith("record/")}


def key_of(stored: Json) -> str:
    return f"{stored['resourceType']}/{stored['id']}"


async def test_t_17_t_49_t_101_m_9_a_pack_holds_photos_consents_notes_and_lots_of_the_named_procedure_only(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str
) -> None:
    visit = {"reference": f"Encounter/{random_id()}"}
    done = await done_by(clinic, office, encounter=visit)
    mine: dict[str, Any] = {"partOf": [{"reference": key_of(done.procedure)}]}
    photo = await done.photo(office, **mine)
    of_visit = await done.photo(office, encounter=visit)
    person = {"reference": f"Patient/{done.patient}"}
    thought = {"resourceType": "ClinicalImpression", "status": "completed", "subject": person, "encounter": visit}
    note = await office.store({**thought, "summary": "Even."})
    other = {"resourceType": "Procedure", "status": "completed", "subject": person, "performedDateTime": done.at()}
    another = await office.store({**other, "bodySite": [site(CHEEK)]})
    await done.photo(office)
    await done.photo(office, CHEEK, encounter=visit)
    await done.photo(office, partOf=[{"reference": key_of(another)}], encounter=visit)
    await done.photo(office, **mine, meta={"tag": [{"system": TAGS, "code": SIMULATED}]})
    await office.store(consent(done.patient, "research"))

    files, stated = opened(await asked(doctor, done, asking(insurer)))

    held = records(files)
    consents = {name for name in held if name.startswith("Consent/")}
    belonging = {key_of(one) for one in (done.procedure, done.syringe, photo, of_visit, note)}
    assert held - consents == belonging
    assert len(consents) == 2
    original = (await doctor.get(f"/fhir/{photo['content']['url']}")).content
    assert files[f"photos/{photo['id']}.jpg"] == original
    assert stated["products"][0]["lot"] == done.syringe["lotNumber"]
    assert (stated["recipient"], stated["recipientName"]) == (insurer, "Assurance & Cie")
    assert b"Assurance &amp; Cie" in files["index.html"]
    assert done.syringe["lotNumber"].encode() in files["index.html"]
    assert f"photos/{photo['id']}.jpg".encode() in files["index.html"]


async def test_t_51_every_part_is_listed_with_its_hash_and_a_stranger_finds_any_change(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str, tmp_path: Path
) -> None:
    done = await done_by(clinic, office)
    answer = await asked(doctor, done, asking(insurer))
    files, stated = opened(answer)
    key = json.encode(dict(clinic.clinic.receipts)).decode()

    listed = {part["path"]: part for part in stated["parts"]}
    assert listed.keys() == files.keys() - {"manifest.jws"}
    assert all(hashlib.sha256(files[path]).hexdigest() == part["sha256"] for path, part in listed.items())
    changed = f"record/{key_of(done.procedure)}.json"
    other = {**files, changed: files[changed].replace(b"completed", b"Completed")}
    resigned = files["manifest.jws"].replace(b".", b".A", 1)
    assert verified(tmp_path, files, key) == (0, "Right")
    assert verified(tmp_path, other, key) == (1, "Wrong")
    assert verified(tmp_path, {**files, "more.txt": b""}, key) == (1, "Wrong")
    assert verified(tmp_path, {path: data for path, data in files.items() if path != changed}, key) == (1, "Wrong")
    assert verified(tmp_path, {**files, "manifest.jws": resigned}, key) == (1, "Wrong")


def verified(folder: Path, files: dict[str, bytes], key: str) -> tuple[int, str]:
    """As somebody does it who has the file, the key and nothing of ours but the script."""
    with zipfile.ZipFile(folder / "pack.zip", "w") as pack:
        for name, data in files.items():
            pack.writestr(name, data)
    command = [sys.executable, "-I", str(ROOT / "verify_pack.py"), str(folder / "pack.zip"), key]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout.partition(":")[0]


async def test_t_52_it_says_how_the_record_is_kept_and_where_the_log_stood(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str
) -> None:
    done = await done_by(clinic, office)
    await sequenced(clinic)

    _, stated = opened(await asked(doctor, done, asking(insurer)))

    assert "AES-256-GCM" in stated["storage"]["sealed"]
    assert stated["storage"]["drill"] == {}
    assert stated["log"]["key"] == clinic.clinic.surface.proofs.key


async def test_t_58_r_balp_017_a_pack_is_recorded_as_a_disclosure_to_its_recipient(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str
) -> None:
    done = await done_by(clinic, office)

    async with clinic.trail.recording() as recorded:
        answer = await asked(doctor, done, asking(insurer))

    [event] = [one for one in recorded.events if SOURCE in one.get("meta", {}).get("profile", [])]
    files, _ = opened(answer)
    assert faults(event, SOURCE) == []
    assert insurer in [agent.get("who", {}).get("reference") for agent in event["agent"]]
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "HLEGAL"
    named = [entity["what"]["reference"] for entity in event["entity"] if "reference" in entity.get("what", {})]
    assert f"Patient/{done.patient}" in named
    assert f"{key_of(done.procedure)}/_history/1" in named
    details = [detail["valueString"] for entity in event["entity"] for detail in entity.get("detail", [])]
    assert hashlib.sha256(files["manifest.jws"]).hexdigest() in details
    assert "legal-claim" in details


async def test_on_the_ground_of_consent_only_what_a_consent_to_this_purpose_covers_leaves(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str
) -> None:
    done = await done_by(clinic, office)
    photo = await done.photo(office, partOf=[{"reference": key_of(done.procedure)}])
    body = asking(insurer, "HPAYMT", "consent")
    paying = {"purpose": [{"system": ACT_REASON, "code": "HPAYMT"}]}
    data = {"data": [{"meaning": "instance", "reference": {"reference": key_of(done.procedure)}}]}

    before = await asked(doctor, done, body)
    narrow = await office.store(consent(done.patient, provision={**paying, **data}))
    narrowly, said = opened(await asked(doctor, done, body))
    await office.store(consent(done.patient, provision=paying))
    wholly, stated = opened(await asked(doctor, done, body))

    assert before.status_code == 403
    assert key_of(photo) not in records(narrowly)
    assert (said["withheld"], said["basis"]) == (1, f"Consent/{narrow['id']}/_history/1")
    assert key_of(photo) in records(wholly)
    assert stated["withheld"] == 0


async def test_a_consent_for_another_recipient_is_none_for_this_one(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str
) -> None:
    done = await done_by(clinic, office)
    expert = await office.store({"resourceType": "Practitioner", "name": [{"given": ["Eva"], "family": "Expert"}]})
    recipient = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    actor = [{"role": recipient, "reference": {"reference": key_of(expert)}}]
    paying = {"purpose": [{"system": ACT_REASON, "code": "HPAYMT"}], "actor": actor}
    await office.store(consent(done.patient, provision=paying))

    to_insurer = await asked(doctor, done, asking(insurer, "HPAYMT", "consent"))
    _, stated = opened(await asked(doctor, done, asking(key_of(expert), "HPAYMT", "consent")))

    assert to_insurer.status_code == 403
    assert stated["recipientName"] == "Eva Expert"


async def test_a_claim_brings_back_no_photo_whose_consent_was_withdrawn_nor_what_was_refused(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str
) -> None:
    done = await done_by(clinic, office)
    photo = await done.photo(office, partOf=[{"reference": key_of(done.procedure)}])
    legal = {"purpose": [{"system": ACT_REASON, "code": "HLEGAL"}]}
    [care] = [
        one["resource"]
        for one in read(await office.get(f"/fhir/Consent?patient={done.patient}"))["entry"]
        if "care-photography" in str(one)
    ]
    await office.post(f"/fhir/Consent/{care['id']}/$withdraw")

    files, stated = opened(await asked(doctor, done, asking(insurer)))
    await office.store(consent(done.patient, kind="deny", provision=legal))
    refused = await asked(doctor, done, asking(insurer))

    assert key_of(photo) not in records(files)
    assert stated["basis"] == "care:all-normal"
    assert refused.status_code == 403


async def test_a_pack_of_several_procedures_is_of_one_patient(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str
) -> None:
    one, another = await done_by(clinic, office), await done_by(clinic, office)
    person = {"reference": f"Patient/{one.patient}"}
    second = await office.store({**one.procedure, "id": random_id(), "subject": person})

    files, stated = opened(await asked(doctor, one, asking(insurer, "HLEGAL", "legal-claim", key_of(second))))
    mixed = await asked(doctor, one, asking(insurer, "HLEGAL", "legal-claim", key_of(another.procedure)))

    assert {key_of(one.procedure), key_of(second)} <= records(files)
    assert stated["procedures"] == [key_of(one.procedure), key_of(second)]
    assert mixed.status_code == 422


async def test_who_asks_for_fhir_gets_a_binary(clinic: InProcess, office: Caller, doctor: Caller, insurer: str) -> None:
    done = await done_by(clinic, office)

    answer = await asked(doctor, done, asking(insurer), Accept="application/fhir+json")

    binary = read(answer)
    assert (binary["resourceType"], binary["contentType"]) == ("Binary", "application/zip")
    assert zipfile.is_zipfile(io.BytesIO(base64.b64decode(binary["data"])))


WRONG = (
    asking("Organization/nobody"),
    asking("Patient/somebody"),
    asking("Organization/x", "HMARKT"),
    asking("Organization/x", "HPAYMT"),
    asking("Organization/x", "HLEGAL", "because"),
    asking("Organization/x", "HLEGAL", "legal-claim", "Media/1"),
    asking("Organization/x", "HLEGAL", "legal-claim", *(f"Procedure/{number}" for number in range(20))),
    {"resourceType": "Parameters", "parameter": asking("Organization/x")["parameter"][1:]},
)


async def test_a_pack_is_asked_for_in_one_way(clinic: InProcess, office: Caller, doctor: Caller) -> None:
    done = await done_by(clinic, office)

    assert [(await asked(doctor, done, body)).status_code for body in WRONG] == [422] * len(WRONG)


async def test_a_photo_that_is_for_the_eyes_of_one_person_stays_here(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str
) -> None:
    done = await done_by(clinic, office, photographed=False)
    recipient = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    packer = {"role": recipient, "reference": {"reference": "Practitioner/packer"}}
    await office.store(consent(done.patient, provision={"actor": [packer]}))
    photo = await done.photo(doctor, partOf=[{"reference": key_of(done.procedure)}])

    files, stated = opened(await asked(doctor, done, asking(insurer)))

    assert (await doctor.get(f"/fhir/Media/{photo['id']}")).status_code == 200
    assert key_of(photo) not in records(files)
    assert stated["withheld"] == 1


async def test_a_pack_has_its_size_and_nothing_that_is_gone(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await done_by(clinic, office)
    photo = await done.photo(office, partOf=[{"reference": key_of(done.procedure)}])
    role = await office.store({"resourceType": "PractitionerRole", "active": True})
    body = asking(key_of(role))

    answers = []
    for most in (10, 3_000, 4 << 20):
        monkeypatch.setattr(clinic.clinic.surface.injectables.packs, "_most", most)
        answers.append(await asked(doctor, done, body))
    row = {"_id": photo["content"]["url"].removeprefix("Binary/")}
    await clinic.mongo[clinic.database]["photos"].update_one(row, {"$set": {"state": "condemned"}})
    gone = await asked(doctor, done, body)

    assert [one.status_code for one in (*answers, gone)] == [400, 400, 200, 410]
    assert opened(answers[2])[1]["recipientName"] == ""


async def test_a_pack_is_made_by_who_treats_or_answers_the_complaint(
    clinic: InProcess, office: Caller, doctor: Caller, insurer: str
) -> None:
    done = await done_by(clinic, office)

    async def status(role: str) -> int:
        return (await asked(staff(clinic, role), done, asking(insurer))).status_code

    assert [await status(role) for role in ("practitioner", "nurse", "receptionist")] == [404, 403, 403]
