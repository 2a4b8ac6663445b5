"""A patient uses a right: the request with its clock, what carries it out, who is told, the signed receipt."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from httpx2 import Response

from fhir_server.kernel.json import Json
from fhir_server.privacy.clocks import months_later
from tests.clinics import InProcess, read, running
from tests.flows.erasures import Record, task
from tests.flows.requests import Desk, every, given, one
from tests.flows.withdrawals import statement, until_done
from tests.people import Case, encounter, of_patient, staff
from tests.samples import consent, published

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def british(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder: Path = tmp_path_factory.mktemp("british")
    async with running(mongo_uri, "rights", folder, jurisdiction="gb", worker_interval=3600) as clinic:
        yield clinic


@pytest.fixture
async def desk(british: InProcess) -> Desk:
    return Desk(british, await Case(british).begin())


@pytest.fixture(scope="module")
async def calm(british: InProcess) -> Desk:
    """Of a patient on whom nothing is carried out that anybody would notice."""
    return Desk(british, await Case(british).begin())


async def receipt_of(desk: Desk, answer: Response) -> Json:
    document = read(await desk.officer.get(f"/fhir/{one(answer, 'receipt')['reference']}"))
    return await statement(desk.clinic, document)


async def test_s_54_a_request_has_a_month_from_when_it_was_received(calm: Desk) -> None:
    dry = await calm.ask("access", dryRun=True)
    answer = await calm.ask("access", received=calm.ago(3), reason="All you have")

    assert (dry.status_code, one(dry, "due"), every(dry, "request")) == (
        200,
        months_later(calm.today, 1).isoformat(),
        [],
    )
    assert answer.status_code == 201
    task = read(await calm.officer.get(f"/fhir/{one(answer, 'request')['reference']}"))
    due = months_later(calm.ago(3), 1).isoformat()
    assert one(answer, "due") == due
    assert task["restriction"]["period"] == {"start": calm.ago(3).isoformat(), "end": due}
    assert (task["status"], task["code"]["coding"][0]["code"]) == ("requested", "access")


async def test_s_54_it_is_extended_once_within_the_month_with_a_reason(calm: Desk) -> None:
    task, late = await calm.opened("access"), await calm.opened("access", received=calm.ago(40))

    silent = await calm.step(task, "extend")
    answer = await calm.step(task, "extend", because="Three thousand pictures")
    again = await calm.step(task, "extend", because="More")
    too_late = await calm.step(late, "extend", because="Busy")

    assert (silent.status_code, answer.status_code, again.status_code, too_late.status_code) == (422, 200, 409, 409)
    assert one(answer, "due") == months_later(calm.today, 3).isoformat()


async def test_s_54_the_clock_stands_still_while_somebody_is_asked_what_they_want(calm: Desk) -> None:
    task = await calm.opened("access")

    asked = await calm.step(task, "ask", about="clarification", because="Which year?")
    twice = await calm.step(task, "ask", about="clarification", because="Which year?")
    dry = await calm.step(task, "answered", about="clarification", dryRun=True)
    answered = await calm.step(task, "answered", about="clarification")
    unasked = await calm.step(task, "answered", about="clarification")

    assert (one(asked, "status"), every(asked, "due")) == ("on-hold", [])
    assert (twice.status_code, unasked.status_code) == (409, 409)
    assert one(dry, "due") == one(answered, "due") == months_later(calm.today, 1).isoformat()
    assert one(answered, "status") == "in-progress"


async def test_s_54_in_britain_it_begins_when_who_asks_is_known(calm: Desk) -> None:
    answer = await calm.ask("access", received=calm.ago(20))
    task = f"/fhir/{one(answer, 'request')['reference']}"

    asked = await calm.step(task, "ask", about="identity", because="No such address on file")
    known = await calm.step(task, "identify", because="Passport shown")

    assert every(asked, "due") == []
    assert one(known, "due") == months_later(calm.today, 1).isoformat()
    said = [each["valueString"] for each in read(await calm.officer.get(task))["input"] if "valueString" in each]
    assert said == ["No such address on file", "Passport shown"]


async def test_nothing_is_done_for_somebody_whom_nobody_knows(desk: Desk) -> None:
    answer = await desk.ask("restrict")
    task = f"/fhir/{one(answer, 'request')['reference']}"

    unknown = await desk.fulfil(task)
    await desk.step(task, "identify", because="Known at the desk")

    assert unknown.status_code == 409
    assert (await desk.fulfil(task)).status_code == 200


async def test_a_refusal_says_why_and_ends_the_request(calm: Desk) -> None:
    task = await calm.opened("restrict")

    dry = await calm.step(task, "refuse", because="It is right as it is", dryRun=True)
    answer = await calm.step(task, "refuse", because="It is right as it is")

    assert one(dry, "status") == one(answer, "status") == "rejected"
    assert read(await calm.officer.get(task))["statusReason"]["text"] == "It is right as it is"
    assert (await calm.fulfil(task)).status_code == 409


async def test_a_client_that_writes_the_task_itself_gets_the_clock_and_does_not_turn_it(calm: Desk) -> None:
    plain = await calm.case.desk.store(task(calm.case.patient, "access"))
    path = f"/fhir/Task/{plain['id']}"

    period = {"start": calm.today.isoformat(), "end": months_later(calm.today, 1).isoformat()}
    assert plain["restriction"]["period"] == period
    later = {**plain, "restriction": {"period": {"end": "2099-01-01"}}}
    assert read(await calm.case.desk.put(path, later))["restriction"]["period"] == period
    extended = {"type": {"coding": [{"system": "urn:aesthetic-fhir-server:rights", "code": "extended"}]}}
    forged = await calm.case.desk.put(path, {**plain, "input": [{**extended, "valueDate": "2026-01-01"}]})
    handled = read(await calm.officer.get(await calm.opened("access")))
    turned = await calm.case.desk.put(
        f"/fhir/Task/{handled['id']}",
        {**handled, "code": {"coding": [{**plain["code"]["coding"][0], "code": "erase"}]}},
    )
    closed = await calm.case.desk.put(f"/fhir/Task/{handled['id']}", {**handled, "status": "cancelled"})
    noted = await calm.case.desk.put(f"/fhir/Task/{handled['id']}", {**handled, "priority": "urgent"})
    assert (forged.status_code, turned.status_code, closed.status_code, noted.status_code) == (422, 422, 422, 200)


async def test_b_6_what_is_restricted_is_stored_and_no_more(desk: Desk) -> None:
    doctor = staff(desk.clinic, "practitioner", person="Practitioner/restricting")
    await desk.case.desk.store(encounter(desk.case.patient, "Practitioner/restricting"))
    assert await desk.case.statuses(doctor) == (200, 200, 200)
    task = await desk.opened("restrict")
    dry = await desk.fulfil(task, dryRun=True)
    assert await desk.case.statuses(doctor) == (200, 200, 200)

    answer = await desk.done(task, because="Contests what is written")

    assert (one(dry, "dryRun"), one(answer, "dryRun")) == (True, False)
    assert await desk.case.statuses(doctor) == (404, 403, 403)
    assert await desk.case.statuses(desk.owner) == (200, 200, 200), "their own they see"
    assert (await desk.officer.get(f"/fhir/Patient/{desk.case.patient}")).status_code == 200
    said = await receipt_of(desk, answer)
    assert (said["kind"], said["right"], said["due"]) == (
        "rights-receipt",
        "restrict",
        months_later(desk.today, 1).isoformat(),
    )
    assert said["outcome"] == [
        {"what": "restricted", "how": "everything"},
        {"what": "because", "how": "Contests what is written"},
    ]


async def test_what_is_restricted_is_not_destroyed_and_comes_back_once_the_person_was_told(desk: Desk) -> None:
    doctor = staff(desk.clinic, "practitioner", person="Practitioner/lifting")
    await desk.case.desk.store(encounter(desk.case.patient, "Practitioner/lifting"))
    task = await desk.opened("restrict")
    await desk.done(task)
    [mine] = read(await desk.owner.get(f"/fhir/Consent?patient={desk.case.patient}&purpose=care-photography"))["entry"]
    await desk.owner.post(f"/fhir/Consent/{mine['resource']['id']}/$withdraw")
    await until_done(desk.clinic)
    assert (await desk.owner.get(f"/fhir/{desk.case.photo}")).status_code == 200, "stored, though nothing covers it"

    untold = await desk.step(task, "lift", because="Settled")
    ahead = await desk.step(task, "lift", because="Settled", informed=date(2999, 1, 1))
    dry = await desk.step(task, "lift", because="Settled", informed=desk.today, dryRun=True)
    assert await desk.case.statuses(doctor) == (404, 403, 403)
    lifted = await desk.step(task, "lift", because="Settled", informed=desk.today)

    assert (untold.status_code, ahead.status_code, dry.status_code, lifted.status_code) == (422, 422, 200, 200)
    assert (await doctor.get(f"/fhir/Observation/{desk.case.observation}")).status_code == 200
    assert (await desk.step(task, "lift", because="Again", informed=desk.today)).status_code == 409


async def test_a_part_of_a_record_can_be_restricted(desk: Desk) -> None:
    observation = f"Observation/{desk.case.observation}"
    stranger = await Case(desk.clinic).begin()

    foreign = await desk.fulfil(await desk.opened("restrict"), resource=f"Observation/{stranger.observation}")
    await desk.done(await desk.opened("restrict"), resource=observation)

    assert foreign.status_code == 422
    assert (await desk.case.desk.get(f"/fhir/{observation}")).status_code == 404
    assert (await desk.case.desk.get(f"/fhir/Media/{desk.case.media}")).status_code == 200


async def test_s_53_marketing_stops_at_once_and_care_goes_on(desk: Desk) -> None:
    allowed = consent(desk.case.patient, "photo-marketing", **published())
    await desk.case.desk.store(allowed)
    shop = desk.clinic.caller(client="shop", purposes=("HMARKT",))
    media = f"/fhir/Media/{desk.case.media}"
    assert (await shop.get(media)).status_code == 200
    task = await desk.opened("object")

    care = await desk.fulfil(task, purpose="TREAT")
    await desk.done(task, because="No more letters")

    assert care.status_code == 422
    assert (await shop.get(media)).status_code == 403
    assert (await desk.case.desk.get(media)).status_code == 200


async def test_s_53_other_processing_is_restricted_while_it_is_decided(desk: Desk) -> None:
    quality = desk.clinic.caller(client="quality", purposes=("HQUALIMP",))
    observation = f"/fhir/Observation/{desk.case.observation}"
    assert (await quality.get(observation)).status_code == 200
    task = await desk.opened("object")

    await desk.done(task, purpose="HQUALIMP")
    held = (await quality.get(observation)).status_code
    await desk.step(task, "lift", because="Overriding grounds", informed=desk.today)

    assert held == 404
    assert (await desk.case.desk.get(observation)).status_code == 200
    assert (await quality.get(observation)).status_code == 200


async def test_s_50_a_correction_keeps_the_disputed_value_and_the_reason(calm: Desk) -> None:
    path = f"/fhir/Patient/{calm.case.patient}"
    task = await calm.opened("rectify")
    early = await calm.fulfil(task, resource=f"Patient/{calm.case.patient}")
    before = read(await calm.case.desk.get(path))
    await calm.case.desk.put(path, {**before, "birthDate": "1971-02-03"})

    dry = await calm.fulfil(task, dryRun=True, resource=f"Patient/{calm.case.patient}")
    answer = await calm.done(task, resource=f"Patient/{calm.case.patient}", because="Born a year later")

    assert early.status_code == 409
    assert [each[0]["valueString"] for each in every(dry, "outcome")] == [
        f"Patient/{calm.case.patient}/_history/2: birthDate"
    ]
    old = read(await calm.case.desk.get(f"{path}/_history/1"))
    assert ("birthDate" in old, read(await calm.case.desk.get(path))["birthDate"]) == (False, "1971-02-03")
    found = read(await calm.officer.get(f"/fhir/Provenance?target=Patient/{calm.case.patient}"))["entry"]
    [told] = [each["resource"] for each in found]
    assert told["reason"][0]["text"] == "Born a year later"
    assert told["entity"][0]["what"]["reference"] == f"Patient/{calm.case.patient}/_history/1"
    assert "1971-02-03" not in str(await receipt_of(calm, answer))


async def test_a_rectification_names_what_was_corrected(calm: Desk) -> None:
    assert (await calm.fulfil(await calm.opened("rectify"))).status_code == 422


async def test_each_recipient_of_what_was_corrected_is_to_be_told(desk: Desk) -> None:
    lab = desk.clinic.caller(client="the-lab")
    assert (await lab.get(f"/fhir/Observation/{desk.case.observation}")).status_code == 200
    await lab.get(f"/fhir/Observation?patient={desk.case.patient}")
    await staff(desk.clinic, "practitioner").get(f"/fhir/Patient/{desk.case.patient}")

    answer = await desk.done(await desk.opened("restrict"))

    assert every(answer, "recipient") == ["the-lab"]
    found = read(await desk.officer.get(f"/fhir/Task?patient={desk.case.patient}&code=inform-recipient"))["entry"]
    [notice] = [each["resource"] for each in found]
    assert (notice["owner"]["identifier"]["value"], notice["status"]) == ("the-lab", "requested")
    assert (await receipt_of(desk, answer))["recipientsToBeTold"] == ["the-lab"]


async def test_access_is_answered_when_the_copy_was_handed_over(calm: Desk) -> None:
    task, digest = await calm.opened("access"), "ab" * 32

    silent = await calm.fulfil(task)
    wrong = await calm.fulfil(task, archive="AB", channel="letter")
    answer = await calm.done(task, archive=digest, channel="letter")

    assert (silent.status_code, wrong.status_code) == (422, 422)
    assert {"what": "archive", "how": digest} in (await receipt_of(calm, answer))["outcome"]
    assert read(await calm.officer.get(task))["status"] == "completed"
    assert (await calm.fulfil(task, archive=digest, channel="letter")).status_code == 409


async def test_s_51_a_request_that_the_patient_made_drives_the_erasure(british: InProcess) -> None:
    record = await Record(british).begin(photos=0)
    lab = british.caller(client="a-registry")
    await lab.get(record.paths["observation0"])
    owner, officer = of_patient(british, record.patient), record.officer
    asked = await owner.post(f"/fhir/Patient/{record.patient}/$rights-request", given(right="erase"))
    task = f"/fhir/{one(asked, 'request')['reference']}"
    await officer.post(f"{task}/$rights-step", given(step="identify", because="Signed in, and called back"))

    dry = await officer.post(f"{task}/$fulfil", given(dryRun=True))
    answer = await officer.post(f"{task}/$fulfil", given(dryRun=False))
    await until_done(british)

    assert (dry.status_code, every(dry, "receipt")) == (200, [])
    assert answer.status_code == 200, answer.text
    assert (await record.desk.get(record.paths["observation0"])).status_code == 410
    said = await statement(british, read(await officer.get(f"/fhir/{one(answer, 'receipt')['reference']}")))
    assert said["recipientsToBeTold"] == ["a-registry"]
    found = read(await officer.get(f"/fhir/Task?patient={record.patient}&code=inform-recipient"))["entry"]
    assert len(found) == 1


async def test_t_73_who_wrote_an_erasure_down_and_handles_it_does_not_carry_it_out(british: InProcess) -> None:
    record = await Record(british).begin(photos=0)
    asked = await record.officer.post(f"/fhir/Patient/{record.patient}/$rights-request", given(right="erase"))
    task = f"/fhir/{one(asked, 'request')['reference']}"
    await record.officer.post(f"{task}/$rights-step", given(step="identify", because="Known"))

    assert (await record.officer.post(f"{task}/$fulfil", given(dryRun=False))).status_code == 403
    other = staff(british, "privacy-officer")
    assert (await other.post(f"{task}/$fulfil", given(dryRun=False))).status_code == 200


async def test_t_73_a_request_that_was_taken_back_is_not_opened_again_by_who_carries_it_out(
    british: InProcess,
) -> None:
    record = await Record(british).begin(photos=0)
    task_id = await record.request()
    path = f"/fhir/Task/{task_id}"
    asked = read(await record.desk.get(path))
    await record.desk.put(path, {**asked, "status": "cancelled"})
    again = await record.officer.put(path, {**asked, "status": "requested"})

    refused = await record.officer.post(f"{path}/$fulfil", given(dryRun=False))
    await record.officer.post(f"{path}/$rights-step", given(step="identify", because="Known"))
    still = await record.officer.post(f"{path}/$fulfil", given(dryRun=False))

    assert again.status_code == 200
    assert (refused.status_code, still.status_code) == (409, 403)


@pytest.mark.parametrize(
    "wrong",
    [
        {"right": "forget"},
        {"right": "access", "channel": "owl"},
        {"right": "access", "received": date(2999, 1, 1)},
        {"right": "access", "reason": "x" * 4_001},
        {},
    ],
)
async def test_a_request_that_cannot_be_is_refused(calm: Desk, wrong: dict[str, object]) -> None:
    answer = await calm.reception.post(f"/fhir/Patient/{calm.case.patient}/$rights-request", given(**wrong))

    assert answer.status_code == 422


async def test_a_step_that_cannot_be_is_refused(calm: Desk) -> None:
    plain = await calm.case.desk.store(task(calm.case.patient, "something-else"))
    path = await calm.opened("access")

    assert (await calm.step(path, "dance")).status_code == 422
    assert (await calm.step(path, "ask", about="weather", because="x")).status_code == 422
    assert (await calm.step(f"/fhir/Task/{plain['id']}", "identify", because="x")).status_code == 422
    assert (await calm.step(path, "lift", because="x", informed=calm.today)).status_code == 422
    unknown = {"name": "colour", "valueCode": "blue"}
    body = {"resourceType": "Parameters", "parameter": [unknown]}
    assert (await calm.officer.post(f"{path}/$fulfil", body)).status_code == 400
    flag = {"resourceType": "Parameters", "parameter": [{"name": "dryRun", "valueCode": "yes"}]}
    assert (await calm.officer.post(f"{path}/$fulfil", flag)).status_code == 422
    day = {
        "resourceType": "Parameters",
        "parameter": [{"name": "right", "valueCode": "access"}, {"name": "received", "valueDate": "2026"}],
    }
    assert (await calm.reception.post(f"/fhir/Patient/{calm.case.patient}/$rights-request", day)).status_code == 422
    named = {"resourceType": "Parameters", "parameter": [{"name": "resource", "valueReference": {"reference": "x"}}]}
    assert (await calm.officer.post(f"{path}/$fulfil", named)).status_code == 422
    purpose = {"resourceType": "Parameters", "parameter": [{"name": "purpose", "valueBoolean": True}]}
    assert (await calm.officer.post(f"{path}/$fulfil", purpose)).status_code == 422


@pytest.mark.parametrize("role", ["practitioner", "nurse", "auditor", "administrator", "marketing"])
async def test_s_60_no_other_role_handles_requests(calm: Desk, role: str) -> None:
    task, who = await calm.opened("restrict"), staff(calm.clinic, role)

    step = await who.post(f"{task}/$rights-step", given(step="identify", because="x"))
    done = await who.post(f"{task}/$fulfil", given(dryRun=False))

    assert {step.status_code, done.status_code} <= {403, 404}
    stranger = await Case(calm.clinic).begin()
    theirs = await calm.owner.post(f"/fhir/Patient/{stranger.patient}/$rights-request", given(right="access"))
    assert theirs.status_code == 404
