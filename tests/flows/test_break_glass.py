"""Breaking the glass: one person, one patient, a reason, an hour; recorded, told, reviewed."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fhir_server.consent.purposes import ACT_REASON
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read, running
from tests.flows.erasures import Record
from tests.people import TASK, Case, care_team, of_patient, staff
from tests.samples import consent

pytestmark = pytest.mark.anyio

REASON = "Fainted in the waiting room"


@pytest.fixture
async def case(clinic: InProcess) -> Case:
    return await Case(clinic).begin()


def asking(reason: str | None = REASON, **more: Json) -> Json:
    given = [{"name": "reason", "valueString": reason}] if reason is not None else []
    return {"resourceType": "Parameters", "parameter": [*given, *({"name": k, **v} for k, v in more.items())]}


async def broken(who: Caller, case: Case, **more: Json) -> Json:
    answer = await who.post(f"/fhir/Patient/{case.patient}/$break-glass", asking(REASON, **more))
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in read(answer)["parameter"]}


@pytest.mark.parametrize("role", ["practitioner", "nurse"])
async def test_t_74_it_opens_one_record_for_an_hour(clinic: InProcess, case: Case, role: str) -> None:
    other = await Case(clinic).begin("Other")
    who = staff(clinic, role)
    assert not await case.sees(who)

    found = await broken(who, case)

    assert await case.sees(who)
    assert not await other.sees(who)
    assert not await case.sees(staff(clinic, role)), "one person"
    lasts = datetime.fromisoformat(found["until"]["valueInstant"]) - case.now
    assert timedelta(minutes=59) < lasts <= timedelta(hours=1)


async def test_r_pcf_013_everything_is_recorded_under_its_purpose(clinic: InProcess, case: Case) -> None:
    who = staff(clinic, "practitioner", person="Practitioner/breaks")
    async with clinic.trail.recording() as recorded:
        await broken(who, case)
        await who.get(f"/fhir/Observation/{case.observation}")
        await who.get(f"/fhir/Observation?patient={case.patient}")
        await who.get(f"/fhir/{case.photo}")

    assert len(recorded.events) == 5
    for event in recorded.events:
        assert [purpose["coding"][0]["code"] for purpose in event["purposeOfEvent"]] == ["BTG"]
        assert any(agent.get("who", {}).get("reference") == "Practitioner/breaks" for agent in event["agent"])
        assert any(entity["what"]["reference"] == f"Patient/{case.patient}" for entity in event["entity"][:1])


async def test_the_patient_is_told_and_somebody_reviews_it(clinic: InProcess, case: Case) -> None:
    who = staff(clinic, "practitioner", person="Practitioner/breaks")
    found = await broken(who, case)

    told = read(await of_patient(clinic, case.patient).get("/fhir/Communication"))
    officer = staff(clinic, "privacy-officer")
    [review] = [
        entry["resource"]
        for entry in read(await officer.get(f"/fhir/Task?code={TASK}|break-glass-review&patient={case.patient}"))[
            "entry"
        ]
    ]

    [notice] = told["entry"]
    assert "emergency" in notice["resource"]["payload"][0]["contentString"]
    assert REASON not in notice["resource"]["payload"][0]["contentString"]
    assert review["status"] == "requested"
    assert review["reasonCode"]["text"] == REASON
    assert found["review"]["valueReference"]["reference"] == f"Task/{review['id']}"
    done = await officer.put(f"/fhir/Task/{review['id']}", {**review, "status": "completed"})
    assert done.status_code == 200
    assert await case.sees(who), "the review is done, the hour is not over"


async def test_whoever_reviews_it_can_end_it_at_once(clinic: InProcess, case: Case) -> None:
    who, officer = staff(clinic, "practitioner"), staff(clinic, "privacy-officer")
    found = await broken(who, case)
    path = f"/fhir/{found['review']['valueReference']['reference']}"

    review = read(await officer.get(path))
    assert (await officer.put(path, {**review, "status": "rejected"})).status_code == 200

    assert not await case.sees(who)


async def test_nobody_reviews_themselves_or_lengthens_the_hour(clinic: InProcess, case: Case) -> None:
    who, officer = staff(clinic, "practitioner"), staff(clinic, "privacy-officer")
    found = await broken(who, case, minutes={"valuePositiveInt": 1})
    path = f"/fhir/{found['review']['valueReference']['reference']}"
    review = read(await who.get(path))
    longer = {**review, "restriction": {"period": {"start": "2020-01-01", "end": "2199-01-01"}}}

    assert (await who.put(path, longer)).status_code == 403
    assert (await who.delete(path)).status_code == 403
    assert (await officer.put(path, longer)).status_code == 200, "which changes nothing: see the unit tests of ties"


async def test_a_review_that_somebody_wrote_themselves_opens_nothing(clinic: InProcess, case: Case) -> None:
    who, friend = staff(clinic, "practitioner", person="Practitioner/foe"), staff(clinic, "practitioner")
    forged = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK, "code": "break-glass-review"}]},
        "for": {"reference": f"Patient/{case.patient}"},
        "requester": {"reference": "Practitioner/foe"},
        "restriction": {"period": {"start": "2020-01-01", "end": "2199-01-01"}},
    }

    for caller in (who, friend, case.desk):
        assert (await caller.post("/fhir/Task", forged)).status_code == 403
    assert not await case.sees(who)


@pytest.mark.parametrize(
    "role", ["receptionist", "marketing", "privacy-officer", "clinical-lead", "auditor", "administrator", "patient"]
)
async def test_other_roles_do_not_break_it(clinic: InProcess, case: Case, role: str) -> None:
    before = await clinic.counts()

    answer = await staff(clinic, role).post(f"/fhir/Patient/{case.patient}/$break-glass", asking())

    assert answer.status_code == 403
    assert await clinic.counts() == before


async def test_who_is_nobody_does_not_break_it(clinic: InProcess, case: Case) -> None:
    nobody = clinic.caller("user/*.cruds", role="practitioner")

    assert (await nobody.post(f"/fhir/Patient/{case.patient}/$break-glass", asking())).status_code == 403


async def test_a_back_end_does_not_break_it(clinic: InProcess, case: Case) -> None:
    assert (await case.desk.post(f"/fhir/Patient/{case.patient}/$break-glass", asking())).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        asking(None),
        asking(""),
        asking("   "),
        asking("x" * 501),
        asking(minutes={"valuePositiveInt": 61}),
        asking(minutes={"valuePositiveInt": 0}),
        asking(minutes={"valueBoolean": True}),
        asking(minutes={"valueString": "60"}),
        {"resourceType": "Parameters"},
        {"resourceType": "Parameters", "parameter": "reason"},
        {"resourceType": "Patient"},
    ],
)
async def test_without_a_reason_or_for_longer_it_stays_whole(clinic: InProcess, case: Case, body: Json) -> None:
    who = staff(clinic, "practitioner")
    before = await clinic.counts()

    answer = await who.post(f"/fhir/Patient/{case.patient}/$break-glass", body)

    assert answer.status_code == 400
    assert await clinic.counts() == before
    assert not await case.sees(who)


async def test_there_is_no_glass_before_a_patient_who_is_not_there(clinic: InProcess, case: Case) -> None:
    answer = await staff(clinic, "practitioner").post("/fhir/Patient/never-was/$break-glass", asking())

    assert answer.status_code == 404


async def test_it_asks_for_no_more_scope_than_to_read_the_patient(clinic: InProcess, case: Case) -> None:
    reads = staff(clinic, "practitioner", "user/Patient.r", "user/Observation.r")
    blind = staff(clinic, "practitioner", "user/Observation.rs")

    assert (await blind.post(f"/fhir/Patient/{case.patient}/$break-glass", asking())).status_code == 403
    await broken(reads, case)
    assert (await reads.get(f"/fhir/Observation/{case.observation}")).status_code == 200


async def test_it_stands_above_no_consent_that_was_withdrawn(clinic: InProcess, case: Case) -> None:
    consents = read(await case.desk.get(f"/fhir/Consent?patient={case.patient}"))
    await case.desk.post(f"/fhir/Consent/{consents['entry'][0]['resource']['id']}/$withdraw")
    who = staff(clinic, "practitioner")
    await broken(who, case)

    assert (await who.get(f"/fhir/Observation/{case.observation}")).status_code == 200
    assert (await who.get(f"/fhir/Media/{case.media}")).status_code in {403, 404, 410}


async def test_a_tie_counts_before_a_broken_glass(clinic: InProcess, case: Case) -> None:
    who = staff(clinic, "practitioner", person="Practitioner/both")
    await broken(who, case)
    assert await case.sees(who)

    await case.desk.store(care_team(case.patient, "Practitioner/both"))
    async with clinic.trail.recording() as recorded:
        await who.get(f"/fhir/Observation/{case.observation}")

    assert recorded.only["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"


async def test_the_operator_says_which_roles_may(mongo_uri: str, database_name: str, tmp_path: Path) -> None:
    async with running(
        mongo_uri, database_name, tmp_path, break_glass_roles="practitioner", break_glass_minutes=5
    ) as own:
        case = await Case(own).begin()
        assert (
            await staff(own, "nurse").post(f"/fhir/Patient/{case.patient}/$break-glass", asking())
        ).status_code == 403
        found = await broken(staff(own, "practitioner"), case)
        assert datetime.fromisoformat(found["until"]["valueInstant"]) - case.now <= timedelta(minutes=5)


TREAT, BTG, ETREAT = ("TREAT",), ("BTG",), ("ETREAT",)


def refusal(patient: str, *refused: str, but: tuple[str, ...] = ()) -> Json:
    """A Consent that refuses these purposes, and takes out what `but` names."""

    def codes(given: tuple[str, ...]) -> list[Json]:
        return [{"system": ACT_REASON, "code": code} for code in given]

    written = consent(patient, kind="deny")
    rule: Json = {"type": "deny", "purpose": codes(refused)}
    if but:
        rule["provision"] = [{"type": "permit", "purpose": codes(but)}]
    return {**written, "provision": rule}


@pytest.mark.parametrize("named", [BTG, (*BTG, *ETREAT)])
async def test_it_opens_a_refusal_of_treatment_that_takes_emergencies_out(
    clinic: InProcess, case: Case, named: tuple[str, ...]
) -> None:
    written = await case.desk.store(refusal(case.patient, *TREAT, but=named))
    who = staff(clinic, "practitioner", person="Practitioner/emergency")
    await case.desk.store(care_team(case.patient, "Practitioner/emergency"))
    assert await case.statuses(who) == (404, 403, 403), "who treats the patient is refused"

    await broken(who, case)
    async with clinic.trail.recording() as recorded:
        assert await case.sees(who)

    assert {event["purposeOfEvent"][0]["coding"][0]["code"] for event in recorded.events} == {"BTG"}
    relied = {entity.get("what", {}).get("reference") for event in recorded.events for entity in event["entity"]}
    assert f"Consent/{written['id']}/_history/1" in relied
    other = staff(clinic, "practitioner", person="Practitioner/other")
    await case.desk.store(care_team(case.patient, "Practitioner/other"))
    assert await case.statuses(other) == (404, 403, 403), "one person broke it"


async def test_it_opens_it_to_somebody_without_a_tie_until_the_review_ends_it(clinic: InProcess, case: Case) -> None:
    await case.desk.store(refusal(case.patient, *TREAT, but=BTG))
    who, officer = staff(clinic, "nurse"), staff(clinic, "privacy-officer")
    assert await case.statuses(who) == (404, 404, 404)

    found = await broken(who, case)
    assert await case.sees(who)
    path = f"/fhir/{found['review']['valueReference']['reference']}"
    assert (await officer.put(path, {**read(await officer.get(path)), "status": "rejected"})).status_code == 200

    assert await case.statuses(who) == (404, 404, 404)


@pytest.mark.parametrize(("refused", "but"), [(TREAT, ()), (TREAT, ("HRESCH",))])
async def test_it_opens_no_other_refusal(
    clinic: InProcess, case: Case, refused: tuple[str, ...], but: tuple[str, ...]
) -> None:
    await case.desk.store(refusal(case.patient, *refused, but=but))
    who = staff(clinic, "practitioner")

    await broken(who, case)

    assert await case.statuses(who) == (404, 403, 403)
    listed = read(await who.get(f"/fhir/Observation?patient={case.patient}"))
    assert "entry" not in listed


@pytest.mark.parametrize("refused", [(*BTG, *ETREAT), BTG])
async def test_before_who_refuses_emergencies_it_stays_whole(
    clinic: InProcess, case: Case, refused: tuple[str, ...]
) -> None:
    await case.desk.store(refusal(case.patient, *refused))
    who = staff(clinic, "practitioner")

    answer = await who.post(f"/fhir/Patient/{case.patient}/$break-glass", asking())

    assert answer.status_code == 404
    assert await case.statuses(who) == (404, 404, 404)


async def test_it_opens_no_photo_that_a_consent_of_its_own_refuses(clinic: InProcess, case: Case) -> None:
    await case.desk.store(refusal(case.patient, *TREAT, but=BTG))
    await case.desk.store(consent(case.patient, kind="deny"))
    who = staff(clinic, "practitioner")

    await broken(who, case)

    assert await case.statuses(who) == (200, 403, 403)


async def test_it_brings_back_nothing_that_was_erased(clinic: InProcess) -> None:
    record = await Record(clinic).begin()
    who = staff(clinic, "practitioner")
    answer = await who.post(f"/fhir/Patient/{record.patient}/$break-glass", asking())
    assert answer.status_code == 200, answer.text
    gone = [record.paths[name] for name in ("appointment", "marketing")]
    assert [(await who.get(path)).status_code for path in gone] == [200, 200]

    assert (await record.erase()).status_code == 200

    assert {(await who.get(path)).status_code for path in gone} <= {404, 410}
    again = await who.post(f"/fhir/Patient/{record.patient}/$break-glass", asking())
    assert again.status_code == 200, "who they are is kept with their file"
    assert {(await who.get(path)).status_code for path in gone} <= {404, 410}


async def test_it_opens_nothing_for_marketing(clinic: InProcess, case: Case) -> None:
    """Who is in that role breaks no glass; and a purpose is the role's, whoever the person is."""
    who = staff(clinic, "practitioner", person="Practitioner/two-roles")
    await case.desk.store(refusal(case.patient, *TREAT, but=BTG))
    await broken(who, case)
    sells = staff(clinic, "marketing", person="Practitioner/two-roles")
    states = staff(clinic, "practitioner", person="Practitioner/two-roles", purposes=("HMARKT",))

    assert await case.statuses(sells) == (403, 404, 404)
    assert await case.statuses(states) == (403, 403, 403)
