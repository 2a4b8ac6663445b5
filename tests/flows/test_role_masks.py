"""What a role does not see of a resource is not shown, not searched by, not written, and not lost."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.people import TASK, Case, appointment, care_team, complaint, of_patient, staff
from tests.samples import consent, jpeg, media, patient, published

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
RELEASED = {"system": "urn:aesthetic-fhir-server:release", "code": "released"}
PHOTO = [{"url": "https://elsewhere.example/portrait"}]
REASON = [{"text": "Lip filler"}]


@pytest.fixture
async def person(clinic: InProcess) -> Json:
    return await clinic.caller().store(
        patient("Masked", photo=PHOTO, telecom=[{"system": "phone", "value": "1"}], maritalStatus={"text": "x"})
    )


@pytest.fixture
def desk(clinic: InProcess) -> Caller:
    return staff(clinic, "receptionist")


async def whole(clinic: InProcess, resource: Json) -> Json:
    found: Json = read(await clinic.caller().get(f"/fhir/{resource['resourceType']}/{resource['id']}"))
    return found


async def test_s_60_a_receptionist_sees_the_part_that_books(clinic: InProcess, desk: Caller, person: Json) -> None:
    shown = read(await desk.get(f"/fhir/Patient/{person['id']}"))

    assert shown["name"] == person["name"]
    assert shown["telecom"] == person["telecom"]
    assert not shown.keys() & {"photo", "maritalStatus", "text", "extension"}
    assert SUBSETTED in shown["meta"]["tag"]
    for path in (
        f"Patient/{person['id']}/_history",
        f"Patient?_id={person['id']}",
        f"Patient/{person['id']}/_history/1",
    ):
        answer = await desk.get(f"/fhir/{path}")
        assert answer.status_code == 200
        assert "elsewhere.example" not in answer.text


async def test_what_loses_only_what_the_server_wrote_of_it_is_not_marked(clinic: InProcess, desk: Caller) -> None:
    plain = await clinic.caller().store(patient("Plain"))

    assert plain.pop("text")["status"] == "generated"
    assert read(await desk.get(f"/fhir/Patient/{plain['id']}")) == plain


async def test_what_is_a_part_is_not_taken_for_the_whole(clinic: InProcess, desk: Caller, person: Json) -> None:
    shown = read(await desk.get(f"/fhir/Patient/{person['id']}"))

    assert (await desk.put(f"/fhir/Patient/{person['id']}", shown)).status_code == 422
    assert await whole(clinic, person) == person


async def test_who_writes_a_part_leaves_the_rest_as_it_was(clinic: InProcess, desk: Caller, person: Json) -> None:
    shown = read(await desk.get(f"/fhir/Patient/{person['id']}"))
    telecom = [{"system": "phone", "value": "2"}]
    body = {name: value for name, value in {**shown, "telecom": telecom}.items() if name != "meta"}

    written = await desk.put(f"/fhir/Patient/{person['id']}", body)

    assert written.status_code == 200
    assert written.content == b"", "the whole is not shown to who sees a part"
    now = await whole(clinic, person)
    assert (now["photo"], now["maritalStatus"]) == (person["photo"], person["maritalStatus"])
    assert now["telecom"] == telecom


@pytest.mark.parametrize("kind", ["json", "fhirpath"])
async def test_who_patches_a_part_leaves_the_rest_as_it_was(
    clinic: InProcess, desk: Caller, person: Json, kind: str
) -> None:
    path = f"/fhir/Patient/{person['id']}"
    if kind == "json":
        patch: Json | str = '[{"op": "replace", "path": "/telecom/0/value", "value": "3"}]'
        answer = await desk.ask("PATCH", path, patch, Content_Type="application/json-patch+json")
    else:
        parts = [
            {"name": "type", "valueCode": "replace"},
            {"name": "path", "valueString": "Patient.telecom[0].value"},
            {"name": "value", "valueString": "3"},
        ]
        answer = await desk.ask(
            "PATCH", path, {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
        )

    assert answer.status_code == 200, answer.text
    assert "elsewhere.example" not in answer.text
    now = await whole(clinic, person)
    assert now["photo"] == person["photo"]
    assert now["telecom"][0]["value"] == "3"
    assert "tag" not in now["meta"]


@pytest.mark.parametrize(
    "patch",
    [
        '[{"op": "test", "path": "/photo/0/url", "value": "https://elsewhere.example/portrait"}]',
        '[{"op": "remove", "path": "/photo"}]',
        '[{"op": "replace", "path": "/photo/0/url", "value": "x"}]',
        '[{"op": "move", "from": "/photo", "path": "/contact"}]',
        '[{"op": "add", "path": "/photo", "value": [{"url": "urn:x"}]}]',
    ],
)
async def test_a_patch_neither_asks_about_nor_touches_what_is_not_seen(
    clinic: InProcess, desk: Caller, person: Json, patch: str
) -> None:
    path = f"/fhir/Patient/{person['id']}"

    answer = await desk.ask("PATCH", path, patch, Content_Type="application/json-patch+json")

    assert answer.status_code in {400, 403, 409, 412, 422}
    assert await whole(clinic, person) == person


async def test_what_is_not_seen_is_not_written(clinic: InProcess, desk: Caller, person: Json) -> None:
    body = {**patient("Masked", photo=PHOTO), "id": person["id"]}

    assert (await desk.put(f"/fhir/Patient/{person['id']}", body)).status_code == 403
    assert (await desk.post("/fhir/Patient", patient("New", photo=PHOTO))).status_code == 403
    assert (await desk.post("/fhir/Patient", patient("New"))).status_code == 201


async def test_labels_are_not_a_parts_to_change(clinic: InProcess, desk: Caller) -> None:
    label = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
    kept = await clinic.caller().store(patient("Labelled", photo=PHOTO, meta=label))

    assert (await desk.put(f"/fhir/Patient/{kept['id']}", {**patient("Labelled"), "id": kept["id"]})).status_code == 200

    assert (await whole(clinic, kept))["meta"]["security"] == label["security"]


async def test_s_60_a_receptionist_books_and_learns_no_reason(clinic: InProcess, desk: Caller, person: Json) -> None:
    now = clinic.clinic.surface.clock.now()
    booked = appointment(person["id"], "Practitioner/x", now, reasonCode=REASON, comment="c", description="d")
    stored = await clinic.caller().store(booked)
    path = f"/fhir/Appointment/{stored['id']}"

    shown = read(await desk.get(path))
    moved = {name: value for name, value in {**shown, "status": "arrived"}.items() if name != "meta"}

    assert not shown.keys() & {"reasonCode", "comment", "description"}
    assert (await desk.put(path, moved)).status_code == 200
    now_is = await whole(clinic, stored)
    assert (now_is["status"], now_is["reasonCode"]) == ("arrived", REASON)
    new = appointment(person["id"], "Practitioner/x", now)
    assert (await desk.post("/fhir/Appointment", new)).status_code == 201
    assert (await desk.post("/fhir/Appointment", {**new, "reasonCode": REASON})).status_code == 403


@pytest.mark.parametrize(
    ("type", "queries"),
    [
        (
            "Appointment",
            [
                "reason-code=x",
                "reason-code:missing=true",
                "reason-reference=Condition/1",
                "supporting-info=Observation/1",
                "based-on=ServiceRequest/1",
            ],
        ),
        ("AppointmentResponse", []),
    ],
)
async def test_s_60_nobody_asks_by_what_they_do_not_see(desk: Caller, type: str, queries: Sequence[str]) -> None:
    for query in queries:
        for path in (f"{type}?{query}", f"{type}?{query}&_summary=count"):
            assert (await desk.get(f"/fhir/{path}")).status_code in {400, 403}, path
        posted = await desk.post(f"/fhir/{type}/_search", query, Content_Type="application/x-www-form-urlencoded")
        assert posted.status_code in {400, 403}
    assert (await desk.get(f"/fhir/{type}?_count=1")).status_code == 200


async def test_s_60_a_condition_on_what_is_not_seen_is_refused(desk: Caller, person: Json) -> None:
    body = {**patient("Masked")}

    created = await desk.post("/fhir/Patient", body, If_None_Exist="_text=x")
    deleted = await desk.delete("/fhir/Appointment?reason-code=x")

    assert created.status_code in {400, 403}
    assert deleted.status_code == 403


async def test_a_practitioner_sees_a_patient_and_no_portrait_in_the_record(clinic: InProcess, person: Json) -> None:
    shown = read(await staff(clinic, "practitioner").get(f"/fhir/Patient/{person['id']}"))

    assert "photo" not in shown
    assert shown["maritalStatus"] == person["maritalStatus"]
    assert SUBSETTED in shown["meta"]["tag"]


@pytest.fixture
async def released(clinic: InProcess, person: Json) -> Json:
    """A photo that was released, under a consent for care and one for marketing; and one that was not."""
    boss = clinic.caller()
    await boss.store(consent(person["id"]))
    await boss.store(consent(person["id"], "photo-marketing", **published()))
    await boss.store(media(person["id"], jpeg()))
    return await boss.store(
        media(person["id"], jpeg(), meta={"tag": [RELEASED]}, note=[{"text": "n"}], bodySite={"text": "lips"})
    )


async def test_s_9_marketing_lists_what_was_released_and_not_whom_it_shows(
    clinic: InProcess, person: Json, released: Json
) -> None:
    who = staff(clinic, "marketing")

    found = read(await who.get("/fhir/Media?_count=1000"))
    mine = [entry["resource"] for entry in found["entry"] if entry["resource"]["id"] == released["id"]]

    assert all(RELEASED in entry["resource"]["meta"]["tag"] for entry in found["entry"])
    [shown] = mine
    assert not shown.keys() & {"subject", "note", "encounter", "operator", "identifier"}
    assert shown["bodySite"] == {"text": "lips"}
    assert person["id"] not in str(found)
    assert (await who.get(f"/fhir/{released['content']['url']}")).status_code == 200
    assert (await who.get(f"/fhir/Patient/{person['id']}")).status_code == 403
    for asked in ("subject", "patient"):
        assert (await who.get(f"/fhir/Media?{asked}=Patient/{person['id']}")).status_code == 403


async def test_s_41_marketing_needs_its_own_consent(clinic: InProcess, person: Json) -> None:
    boss, who = clinic.caller(), staff(clinic, "marketing")
    await boss.store(consent(person["id"]))
    kept = await boss.store(media(person["id"], jpeg(), meta={"tag": [RELEASED]}))

    async with clinic.trail.recording() as recorded:
        refused = await who.get(f"/fhir/Media/{kept['id']}")
    listed = read(await who.get(f"/fhir/Media?_id={kept['id']}"))

    assert refused.status_code == 403
    assert recorded.only["purposeOfEvent"][0]["coding"][0]["code"] == "HMARKT"
    assert "entry" not in listed
    assert (await who.get(f"/fhir/{kept['content']['url']}")).status_code == 403
    assert (await boss.get(f"/fhir/Media/{kept['id']}")).status_code == 200


async def test_a_lead_reads_the_one_record_that_a_complaint_is_about(clinic: InProcess) -> None:
    case, other = await Case(clinic).begin(), await Case(clinic).begin("Other")
    lead = "Practitioner/lead"
    now = case.now
    task = await case.desk.store(complaint(case.patient, lead, now - timedelta(days=1), now + timedelta(days=1)))
    await case.desk.store(complaint(other.patient, lead, now - timedelta(days=1), now + timedelta(days=1)))
    reads = staff(clinic, "clinical-lead", person=lead, patient=case.patient)

    assert await case.sees(reads)
    assert await other.statuses(reads) == (404, 404, 404), "one patient at a time"
    async with clinic.trail.recording() as recorded:
        await reads.get(f"/fhir/Observation/{case.observation}")
    assert recorded.only["purposeOfEvent"][0]["coding"][0]["code"] == "HLEGAL"
    choosing = read(await staff(clinic, "clinical-lead", person=lead).get("/fhir/Patient"))
    assert {entry["resource"]["id"] for entry in choosing["entry"]} == {case.patient, other.patient}

    path = f"/fhir/Task/{task['id']}"
    longer = {**task, "restriction": {"period": {"start": "2020-01-01", "end": "2199-01-01"}}}
    assert (await reads.put(path, longer)).status_code == 403
    assert (await reads.put(path, {**task, "status": "in-progress"})).status_code == 200
    assert await case.sees(reads)
    assert (await reads.put(path, {**task, "status": "completed"})).status_code == 200
    assert not await case.sees(reads)


async def test_a_patient_keeps_contact_data_and_nothing_else_of_theirs(clinic: InProcess, person: Json) -> None:
    own = of_patient(clinic, person["id"])
    path = f"/fhir/Patient/{person['id']}"

    assert read(await own.get(path)) == person
    changed = {**person, "telecom": [{"system": "phone", "value": "9"}]}
    assert (await own.put(path, changed)).status_code == 200
    others: tuple[Json, ...] = (
        {"birthDate": "1990-01-01"},
        {"name": [{"family": "Else"}]},
        {"photo": []},
        {"active": False},
    )
    for more in others:
        assert (await own.put(path, {**changed, **more})).status_code in {403, 422}
    assert (await whole(clinic, person))["telecom"] == changed["telecom"]


async def test_a_patient_asks_for_an_appointment_and_makes_none(clinic: InProcess, person: Json) -> None:
    own = of_patient(clinic, person["id"])
    now = clinic.clinic.surface.clock.now()

    wished = await own.post("/fhir/Appointment", appointment(person["id"], "Practitioner/x", now, "proposed"))
    made = await own.post("/fhir/Appointment", appointment(person["id"], "Practitioner/x", now))

    assert (wished.status_code, made.status_code) == (201, 403)


async def test_a_related_person_acts_for_one_patient_while_related(clinic: InProcess, person: Json) -> None:
    boss = clinic.caller()
    related = {"resourceType": "RelatedPerson", "active": True, "patient": {"reference": f"Patient/{person['id']}"}}
    mother = await boss.store(related)
    reference = f"RelatedPerson/{mother['id']}"
    acts = clinic.caller("user/*.cruds", role="related-person", fhir_user=reference, patient=person["id"])

    assert (await acts.get(f"/fhir/Patient/{person['id']}")).status_code == 200
    await boss.store({**mother, "active": False})

    assert (await acts.get(f"/fhir/Patient/{person['id']}")).status_code == 404


async def test_a_privacy_officer_and_an_auditor_read_logs_and_registers(clinic: InProcess) -> None:
    case = await Case(clinic).begin()
    register = await case.desk.store({"resourceType": "Basic", "code": {"text": "Register of processing"}})
    about = await case.desk.store(
        {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": f"Patient/{case.patient}"}}
    )
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "for": {"reference": f"Patient/{case.patient}"},
    }
    rights = await case.desk.store({**task, "code": {"coding": [{"system": TASK, "code": "erase"}]}})
    clinical = await case.desk.store({**task, "code": {"text": "Laser"}})

    for role in ("privacy-officer", "auditor"):
        who = staff(clinic, role)
        assert (await who.get("/fhir/AuditEvent?_count=1")).status_code == 200
        assert (await who.get(f"/fhir/Basic/{register['id']}")).status_code == 200
        assert (await who.get(f"/fhir/Basic/{about['id']}")).status_code == 404
        assert (await who.get(f"/fhir/Task/{rights['id']}")).status_code == 200
        assert (await who.get(f"/fhir/Task/{clinical['id']}")).status_code == 404
        assert await case.statuses(who) == (403, 403, 403)


async def test_an_app_that_is_not_registered_for_a_purpose_is_used_for_none(clinic: InProcess, released: Json) -> None:
    care = staff(clinic, "marketing", purposes=("TREAT",))
    both = staff(clinic, "marketing", purposes=("TREAT", "HMARKT"))

    assert (await care.get(f"/fhir/Media/{released['id']}")).status_code == 403
    assert (await care.post("/fhir", {"resourceType": "Bundle", "type": "batch"})).status_code in {200, 403}
    assert (await both.get(f"/fhir/Media/{released['id']}")).status_code == 200


async def test_a_team_ties_only_the_role_that_treats(clinic: InProcess) -> None:
    case = await Case(clinic).begin()
    await case.desk.store(care_team(case.patient, "Practitioner/many-roles"))

    for role in ("receptionist", "marketing", "privacy-officer", "administrator", "auditor"):
        first, second, third = await case.statuses(staff(clinic, role, person="Practitioner/many-roles"))
        assert {first, second, third} <= {403, 404}, role
    assert await case.sees(staff(clinic, "practitioner", person="Practitioner/many-roles"))
