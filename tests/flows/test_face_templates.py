"""A template of a face comes in assessed, labelled and consented to, or not at all; a photograph is not biometric."""

from typing import Any

import pytest

from fhir_server.kernel.json import Json
from fhir_server.privacy.templates import ASSESSMENT, FACE_TEMPLATE, LABEL, SYSTEM
from tests.clinics import Caller, InProcess, read
from tests.flows.accounts import entry
from tests.people import care_team, observation, of_patient, staff
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio
CODED = {"coding": [{"system": SYSTEM, "code": FACE_TEMPLATE}]}
LABELLED = {"security": [LABEL]}


@pytest.fixture(scope="module")
def engine_room(clinic: InProcess) -> Caller:
    return clinic.caller(client="engine-room")


@pytest.fixture(scope="module")
async def assessed(engine_room: Caller) -> Json:
    """The extension that names an assessment on the register."""
    told = {"title": "Faces", "activity": "activity-patient-files", "reviewed": "2026-11", "conclusion": "May be done"}
    made = await engine_room.post("/fhir/Basic", without_id(entry("x", "dpia", **told)))
    assert made.status_code == 201, made.text
    return naming(f"Basic/{read(made)['id']}")


def without_id(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if name != "id"}


def naming(reference: str) -> Json:
    return {"url": ASSESSMENT, "valueReference": {"reference": reference}}


def template(person: str, *assessments: Json, **more: Any) -> Json:
    named = {"extension": list(assessments)} if assessments else {}
    return observation(person, code=CODED, meta=LABELLED, valueString="0.12 0.55", **named) | more


async def agreeing(office: Caller) -> tuple[str, Json]:
    person = str((await office.store(patient()))["id"])
    return person, await office.store(consent(person, "face-recognition"))


async def test_s_16_a_template_is_stored_labelled_assessed_and_on_explicit_consent(
    clinic: InProcess, engine_room: Caller, assessed: Json
) -> None:
    person, _ = await agreeing(engine_room)

    stored = await engine_room.store(template(person, assessed))
    nurse = staff(clinic, "nurse", person="Practitioner/n")
    await engine_room.store(care_team(person, "Practitioner/n"))

    path = f"/fhir/Observation/{stored['id']}"
    assert stored["meta"]["security"] == [LABEL]
    assert [(await who.get(path)).status_code for who in (engine_room, of_patient(clinic, person), nurse)] == [
        200,
        200,
        404,
    ]
    assert (await nurse.put(path, {**observation(person), "id": stored["id"]})).status_code == 404
    assert "entry" not in read(await nurse.get(f"/fhir/Observation?patient={person}"))
    assert len(read(await engine_room.get(f"/fhir/Observation?patient={person}"))["entry"]) == 1
    bound = {"resourceType": "Binary", "contentType": "application/x-template", "data": "AAEC"}
    within = await engine_room.store({**bound, "securityContext": {"reference": f"Observation/{stored['id']}"}})
    seen = [await who.get(f"/fhir/Binary/{within['id']}") for who in (engine_room, nurse)]
    assert [one.status_code for one in seen] == [200, 404]


async def test_s_16_without_label_assessment_or_patient_it_is_refused(engine_room: Caller, assessed: Json) -> None:
    person, _ = await agreeing(engine_room)
    other = await engine_room.post(
        "/fhir/Basic", without_id(entry("x", "officer", needed=False, reasons="We are few."))
    )
    gone = await engine_room.post("/fhir/Basic", {"resourceType": "Basic", "code": {"text": "Gone"}})
    await engine_room.delete(f"/fhir/Basic/{read(gone)['id']}")
    cases = {
        "meta.security": {**template(person, assessed), "meta": {"tag": [{"code": "x"}]}},
        "extension": template(person),
        "extension ": template(person, naming("Basic/nowhere"), naming("urn:uuid:x"), naming(f"Patient/{person}")),
        "extension  ": template(person, naming(f"Basic/{read(other)['id']}"), naming(f"Basic/{read(gone)['id']}")),
        "": without_subject(template(person, assessed)),
    }

    for place, resource in cases.items():
        refused = await engine_room.post("/fhir/Observation", resource)
        [issue] = read(refused)["issue"]
        assert refused.status_code == 422, refused.text
        assert issue["expression"] == [f"Observation.{place}".rstrip(". ")]


def without_subject(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if name != "subject"}


async def test_s_16_no_consent_to_recognition_means_no(engine_room: Caller, assessed: Json) -> None:
    person = str((await engine_room.store(patient()))["id"])
    await engine_room.store(consent(person))
    await engine_room.store(consent(person, "treatment"))

    refused = await engine_room.post("/fhir/Observation", template(person, assessed))

    assert refused.status_code == 403
    assert "legal basis" in refused.text


async def test_s_16_a_withdrawal_ends_its_use_at_once(clinic: InProcess, engine_room: Caller, assessed: Json) -> None:
    person, agreed = await agreeing(engine_room)
    stored = await engine_room.store(template(person, assessed))

    assert (await engine_room.post(f"/fhir/Consent/{agreed['id']}/$withdraw")).status_code == 200

    path = f"/fhir/Observation/{stored['id']}"
    assert (await engine_room.get(path)).status_code == 404
    assert (await engine_room.put(path, {**template(person, assessed), "id": stored["id"]})).status_code == 403
    assert (await of_patient(clinic, person).get(path)).status_code == 200
    assert (await engine_room.delete(path)).status_code in {200, 204}


async def test_s_16_nobody_but_a_back_end_stores_one(clinic: InProcess, engine_room: Caller, assessed: Json) -> None:
    person, _ = await agreeing(engine_room)
    await engine_room.store(care_team(person, "Practitioner/d"))
    doctor = staff(clinic, "practitioner", person="Practitioner/d")

    refused = await doctor.post("/fhir/Observation", template(person, assessed))

    assert refused.status_code == 403
    assert "system scope" in refused.text


async def test_s_16_a_plain_photograph_is_health_data_and_does_not_claim_more(engine_room: Caller) -> None:
    person = str((await engine_room.store(patient()))["id"])
    await engine_room.store(consent(person))

    plain = await engine_room.store(media(person, jpeg()))
    claiming = await engine_room.post("/fhir/Media", media(person, jpeg(), meta=LABELLED))

    assert [one["code"] for one in plain["meta"]["security"]] == ["R"]
    assert claiming.status_code == 422
    assert "a photograph alone is none" in claiming.text


async def test_s_16_a_photograph_that_a_template_is_added_to_changes_its_class(
    engine_room: Caller, assessed: Json
) -> None:
    person, _ = await agreeing(engine_room)
    await engine_room.store(consent(person))
    photo = await engine_room.store(media(person, jpeg()))
    marked = {**photo, "meta": {**photo["meta"], "tag": CODED["coding"]}}
    labelled = {"security": [*photo["meta"]["security"], LABEL]}

    bare = await engine_room.put(f"/fhir/Media/{photo['id']}", marked)
    whole = await engine_room.put(
        f"/fhir/Media/{photo['id']}", {**marked, "meta": {**marked["meta"], **labelled}, "extension": [assessed]}
    )

    assert (bare.status_code, whole.status_code) == (422, 200)
