"""What a clinic keeps: records, treatments, reports, plans; labelled, legible, correct, found, kept apart.

Requirements S3, S4, S11 to S14, T54, T55, T60.
"""

import logging
import secrets
from typing import Any

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R", "display": "restricted"}
CODE: Json = {"coding": [{"system": "http://snomed.info/sct", "code": "1", "display": "Filler, left cheek"}]}


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture
async def person(doctor: Caller) -> str:
    return str((await doctor.store(patient("Recorded")))["id"])


def of(type: str, person: str, **more: Any) -> Json:
    who = {"reference": f"Patient/{person}"}
    elements: dict[str, Json] = {
        "Condition": {"subject": who, "code": CODE},
        "Encounter": {"subject": who, "status": "finished", "class": {"code": "AMB"}},
        "QuestionnaireResponse": {"subject": who, "status": "completed"},
        "Procedure": {"subject": who, "status": "completed", "code": CODE},
        "MedicationAdministration": {
            "subject": who,
            "status": "completed",
            "medicationCodeableConcept": CODE,
            "effectiveDateTime": "2026-02-03",
        },
        "DocumentReference": {
            "subject": who,
            "status": "current",
            "type": CODE,
            "content": [{"attachment": {"title": "Consultation"}}],
        },
        "Composition": {
            "subject": who,
            "status": "final",
            "type": CODE,
            "date": "2026-02-03",
            "author": [{"display": "Dr. Who"}],
            "title": "Consultation",
        },
        "CarePlan": {"subject": who, "status": "active", "intent": "plan"},
    }
    return {"resourceType": type, **elements[type], **more}


RECORDS = ("Condition", "Encounter", "QuestionnaireResponse")
TREATMENTS = ("Procedure", "MedicationAdministration")


@pytest.mark.parametrize("type", [*RECORDS, *TREATMENTS])
async def test_s_3_s_4_records_and_treatments_are_labelled_restricted(doctor: Caller, person: str, type: str) -> None:
    made = await doctor.store(of(type, person))
    changed = read(
        await doctor.put(f"/fhir/{type}/{made['id']}", {**of(type, person), "id": made["id"], "language": "en"})
    )

    assert made["meta"]["security"] == changed["meta"]["security"] == [LABEL]
    found = read(await doctor.get(f"/fhir/{type}?patient={person}&_security={LABEL['system']}|R"))
    assert [each["resource"]["id"] for each in found["entry"]] == [made["id"]]


async def test_s_11_a_patients_app_finds_the_whole_record(clinic: InProcess, doctor: Caller, person: str) -> None:
    types = (*RECORDS, *TREATMENTS, "DocumentReference", "Composition", "CarePlan")
    made = {type: (await doctor.store(of(type, person)))["id"] for type in types}
    app = clinic.caller("patient/*.rs", patient=person)

    for type, id in made.items():
        found = read(await app.get(f"/fhir/{type}"))
        assert [each["resource"]["id"] for each in found["entry"]] == [id]
        assert (await app.get(f"/fhir/{type}/{id}")).status_code == 200


async def test_s_12_a_history_of_treatments_is_found_by_its_dates(doctor: Caller, person: str) -> None:
    for day in ("2026-03-01", "2026-01-01", "2026-02-01"):
        await doctor.store(of("Procedure", person, performedDateTime=day))
        await doctor.store(of("MedicationAdministration", person, effectiveDateTime=day))
        await doctor.store(of("Encounter", person, period={"start": day, "end": day}))

    for type in ("Procedure", "MedicationAdministration", "Encounter"):
        parameter = "effective-time" if type == "MedicationAdministration" else "date"
        found = read(await doctor.get(f"/fhir/{type}?patient={person}&{parameter}=ge2026-02&{parameter}=lt2026-03"))
        assert len(found["entry"]) == 1
        assert "2026-02-01" in str(found["entry"][0]["resource"])


@pytest.mark.parametrize("type", ["DocumentReference", "Composition"])
async def test_s_13_a_report_of_a_consultation_is_found_by_its_type(doctor: Caller, person: str, type: str) -> None:
    made = await doctor.store(of(type, person))

    found = read(await doctor.get(f"/fhir/{type}?patient={person}&type=http://snomed.info/sct|1"))
    none = read(await doctor.get(f"/fhir/{type}?patient={person}&type=http://snomed.info/sct|2"))

    assert [each["resource"]["id"] for each in found["entry"]] == [made["id"]]
    assert none["total"] == 0


async def test_s_14_a_treatment_is_linked_to_its_plan(doctor: Caller, person: str) -> None:
    plan = await doctor.store(of("CarePlan", person))
    done = await doctor.store(of("Procedure", person, basedOn=[{"reference": f"CarePlan/{plan['id']}"}]))
    outcome = [{"outcomeReference": [{"reference": f"Procedure/{done['id']}"}]}]
    await doctor.store({**plan, "activity": outcome})

    found = read(await doctor.get(f"/fhir/Procedure?based-on=CarePlan/{plan['id']}"))

    assert [each["resource"]["id"] for each in found["entry"]] == [done["id"]]
    assert read(await doctor.get(f"/fhir/CarePlan/{plan['id']}"))["activity"] == outcome


async def test_t_54_a_record_can_be_read_without_software(doctor: Caller, person: str) -> None:
    made = await doctor.store(of("Procedure", person))
    own = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Filler, by Dr. Who</div>'}
    written = await doctor.store(of("Procedure", person, text=own))
    followed = read(await doctor.put(f"/fhir/Procedure/{made['id']}", {**made, "status": "stopped"}))

    assert made["text"]["status"] == "generated"
    assert "Code: Filler, left cheek" in made["text"]["div"]
    assert written["text"] == own
    assert "Status: stopped" in followed["text"]["div"], "it says what the record says now"


async def test_t_55_a_record_is_correct_versioned_and_has_an_author(doctor: Caller, person: str) -> None:
    wrong = await doctor.post("/fhir/Procedure", of("Procedure", person, status="doen"))
    made = await doctor.store(of("Procedure", person))
    await doctor.put(f"/fhir/Procedure/{made['id']}", {**of("Procedure", person, status="stopped"), "id": made["id"]})
    provenance: Json = {
        "resourceType": "Provenance",
        "target": [{"reference": f"Procedure/{made['id']}/_history/2"}],
        "recorded": "2026-02-03T10:00:00Z",
        "agent": [{"type": {"coding": [{"code": "author"}]}, "who": {"display": "Dr. Who"}}],
    }
    await doctor.store(provenance)

    assert wrong.status_code == 422
    assert read(wrong)["issue"][0]["expression"] == ["Procedure.status"]
    versions = read(await doctor.get(f"/fhir/Procedure/{made['id']}/_history"))["entry"]
    assert [each["resource"]["status"] for each in versions] == ["stopped", "completed"]
    told = read(await doctor.get(f"/fhir/Provenance?target=Procedure/{made['id']}"))
    assert told["entry"][0]["resource"]["agent"][0]["who"]["display"] == "Dr. Who"


async def test_t_60_a_patients_app_is_never_shown_the_photos_of_others(
    clinic: InProcess, doctor: Caller, person: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    name = f"Zz{secrets.token_hex(6)}"
    other = (await doctor.store(patient(name)))["id"]
    for who in (person, other):
        await doctor.store(consent(who))
    mine, theirs = [await doctor.store(media(who, jpeg(), note=[{"text": name}])) for who in (person, other)]
    app = clinic.caller("patient/*.rs", patient=person)

    seen = read(await app.get("/fhir/Media"))
    asked = [
        await app.get(f"/fhir/Media?patient={other}"),
        await app.get(f"/fhir/Media?_id={theirs['id']}"),
        await app.get(f"/fhir/Media/{theirs['id']}"),
        await app.get(f"/fhir/{theirs['content']['url']}"),
    ]
    picture = await app.get(f"/fhir/{mine['content']['url']}")

    assert [each["resource"]["id"] for each in seen["entry"]] == [mine["id"]]
    assert [read(answer).get("total") for answer in asked[:2]] == [0, 0]
    assert [answer.status_code for answer in asked[2:]] == [404, 404]
    assert picture.status_code == 200
    assert name not in str(picture.headers)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("fhir_server")]
    assert ours
    assert not any(name in message or other in message for message in ours)
