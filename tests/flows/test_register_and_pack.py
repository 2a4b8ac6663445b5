"""The register of processing, the compliance report and the regulator's pack, of one new French clinic."""

import base64
import csv
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from fhir_server.chosen import THE_SERVER
from fhir_server.cli.drill import Drill, file
from fhir_server.crypto.jws import verify_jws
from fhir_server.engine.call import Call, Interaction
from fhir_server.kernel import json
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.json import Json
from fhir_server.privacy.contact import PRIVACY
from fhir_server.privacy.contact import SYSTEM as CONTACT
from fhir_server.privacy.reading import everything
from fhir_server.privacy.register.entries import SYSTEM
from fhir_server.privacy.register.files import PACK_TYPE
from fhir_server.privacy.register.reviewing import DUE, Reviewing
from fhir_server.smart.clients.client import Client, Kind
from tests.clinics import Caller, InProcess, read, running
from tests.flows.accounts import activity, breach, entry, without
from tests.people import TASK, staff
from tests.samples import consent, patient

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def french(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder = tmp_path_factory.mktemp("register")
    async with running(mongo_uri, "register", folder, jurisdiction="fr", region="FR", worker_interval=3600) as clinic:
        yield clinic


@pytest.fixture(scope="module")
def officer(french: InProcess) -> Caller:
    return staff(french, "privacy-officer", person="Practitioner/officer")


async def report(who: Caller) -> dict[str, Json]:
    answer = await who.get("/fhir/$compliance-report")
    assert answer.status_code == 200, answer.text
    [whole, *parts] = read(answer)["parameter"]
    told = [{one["name"]: one.get("valueCode", one.get("valueString")) for one in part["part"]} for part in parts]
    return {"": {"state": whole["valueCode"]}, **{part["name"]: part for part in told}}


async def pack(who: Caller) -> dict[str, bytes]:
    answer = await who.get("/fhir/$regulator-export")
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rows(files: dict[str, bytes], section: str) -> list[dict[str, str]]:
    sections = json.decode(files["pack.json"])["sections"]
    return next(one["rows"] for one in sections if one["name"] == section)


async def test_s_6_a_new_clinic_sees_red_and_care_goes_on(french: InProcess, officer: Caller) -> None:
    found = await report(officer)

    assert found[""]["state"] == found["register"]["state"] == found["contact"]["state"] == "red"
    assert (await french.caller().post("/fhir/Patient", patient("Care"))).status_code == 201


async def test_the_report_is_for_those_who_answer_for_it(french: InProcess) -> None:
    for role in ("administrator", "auditor"):
        assert (await report(staff(french, role)))[""]["state"] == "red"
    for role in ("practitioner", "receptionist", "marketing"):
        assert (await staff(french, role).get("/fhir/$compliance-report")).status_code == 403
    assert (await french.stranger.get("/fhir/$compliance-report")).status_code == 401


async def test_s_25_26_27_28_29_t_29_every_clinic_has_the_activities_that_every_clinic_has(officer: Caller) -> None:
    found = {row["id"]: row for row in rows(await pack(officer), "register-controller")}

    assert found.keys() >= {
        f"activity-{name}" for name in ("patient-files", "appointments", "marketing", "video", "staff")
    }
    assert found["activity-patient-files"]["retention"].startswith("fr-medical-file; ")
    assert found["activity-video"]["confirmed"] == "no"


async def test_s_24_an_activity_is_confirmed_changed_and_keeps_its_history(officer: Caller) -> None:
    path = "/fhir/Basic/activity-video"
    first = await officer.put(path, activity("activity-video", title="Video"))
    await officer.put(path, activity("activity-video", title="Cameras at the door"))

    history = read(await officer.get(f"{path}/_history"))
    found = {row["id"]: row for row in rows(await pack(officer), "register-controller")}

    assert first.status_code == 201
    assert len(history["entry"]) == 2
    assert (found["activity-video"]["title"], found["activity-video"]["confirmed"]) == ("Cameras at the door", "yes")


@pytest.mark.parametrize("field", ["title", "role", "purpose", "data-category", "subject-category"])
async def test_s_30_31_an_activity_without_what_the_law_asks_for_is_refused(officer: Caller, field: str) -> None:
    answer = await officer.put("/fhir/Basic/activity-staff", without(activity("activity-staff"), field))

    assert (answer.status_code, f"{field} is missing" in answer.text) == (422, True)


async def test_s_33_a_rule_of_retention_that_is_not_there_is_refused(officer: Caller) -> None:
    wrong = await officer.post("/fhir/Basic", without(activity(retention="fr-forever"), "none"))
    right = await officer.put("/fhir/Basic/activity-extra", activity("activity-extra", retention="fr-medical-file"))

    assert (wrong.status_code, "no such rule" in wrong.text) == (422, True)
    assert right.status_code == 201


async def test_what_is_no_kind_and_no_field_is_refused(officer: Caller) -> None:
    unknown = {"resourceType": "Basic", "code": {"coding": [{"system": SYSTEM, "code": "invented"}]}}
    twice = activity("activity-twice", title=("One", "Two"))
    typed = {**activity("activity-typed"), "extension": [{"url": f"{SYSTEM}:title", "valueCode": "a"}]}
    other = {**activity("activity-other")}
    other["extension"] = [*other["extension"], {"url": f"{SYSTEM}:invented", "valueString": "a"}]

    for basic in (unknown, twice, typed, other):
        assert (await officer.post("/fhir/Basic", basic)).status_code == 422
    assert (await officer.post("/fhir/Basic", {"resourceType": "Basic", "code": {"text": "mine"}})).status_code == 201
    noted = activity("activity-noted")
    noted["extension"].append({"url": "https://clinic.example/note", "valueString": "ours"})
    assert (await officer.put("/fhir/Basic/activity-noted", noted)).status_code == 201


async def test_s_26_32_who_is_connected_is_a_recipient(french: InProcess, officer: Caller) -> None:
    mapper = Client("mapper", Kind.BACKEND, "Booking connector", ("system/Appointment.cruds",))
    french.clinic.store.clients.save(mapper)

    found = {row["id"]: row["recipient"] for row in rows(await pack(officer), "register-controller")}

    assert "Booking connector" in found["activity-appointments"]
    assert "Booking connector" not in found["activity-marketing"] + found["activity-patient-files"]


async def test_s_32_who_is_notified_is_a_recipient(french: InProcess, officer: Caller) -> None:
    desk = french.caller(client="subscriber")
    for id, status, host in (("on", "requested", "hooks.example.org"), ("off", "off", "gone.example.org")):
        await desk.store(
            {
                "resourceType": "Subscription",
                "id": id,
                "status": status,
                "reason": "Bookings",
                "criteria": "Appointment?status=booked",
                "channel": {"type": "rest-hook", "endpoint": f"https://{host}/told"},
            }
        )

    found = {row["id"]: row["recipient"] for row in rows(await pack(officer), "register-controller")}

    assert "notifications to hooks.example.org" in found["activity-appointments"]
    assert "gone.example.org" not in found["activity-appointments"]


async def test_s_63_t_52_drills_and_late_requests_are_in_the_report(french: InProcess, officer: Caller) -> None:
    await file(french.clinic, Drill("backup", "2026-11-21", rows={"resources": 1}))
    late = {"start": "2020-01-01", "end": "2020-02-01"}
    code = {"coding": [{"system": TASK, "code": "access"}]}
    asked: Json = {"resourceType": "Task", "id": "late", "status": "requested", "intent": "order", "code": code}
    await officer.put("/fhir/Task/late", {**asked, "restriction": {"period": late}})

    found = await report(officer)

    assert found["requests"] == {**found["requests"], "state": "red", "evidence": "Past their day: Task/late."}
    assert found["backups"]["state"] == "green"
    [drill] = rows(await pack(officer), "drills")
    assert "without a difference" in drill["says"]
    await officer.put("/fhir/Task/late", {**asked, "status": "completed"})


async def test_more_than_fits_is_refused_and_not_cut(french: InProcess) -> None:
    call = Call(Interaction.SEARCH_TYPE, THE_SERVER, french.clinic.surface.clock.now())
    for name in ("One", "Two"):
        await french.caller().store(patient(name))

    with pytest.raises(TooCostlyError):
        await everything(french.clinic.engine, call, "Patient", most=1)


async def test_s_34_measures_are_told_from_the_configuration(officer: Caller) -> None:
    files = await pack(officer)
    found = {row["measure"]: row for row in rows(files, "security")}

    assert found["encryption-in-transit"]["holds"] == "no", "this clinic speaks plain HTTP on loopback"
    assert (found["region"]["holds"], found["region"]["says"]) == ("yes", "Data lie in FR, as declared.")
    assert "Plain HTTP" in rows(files, "register-controller")[0]["measure"]


async def test_t_25_what_is_done_for_others_is_a_register_of_its_own(officer: Caller) -> None:
    await officer.put("/fhir/Basic/for-others", activity("for-others", role="processor", on_behalf_of="Clinic B"))

    [row] = rows(await pack(officer), "register-processor")

    assert (row["id"], row["on-behalf-of"], "retention" in row) == ("for-others", "Clinic B", False)


async def test_s_113_the_pack_is_signed_and_says_of_each_file_what_it_is(french: InProcess, officer: Caller) -> None:
    desk = french.caller()
    person = (await desk.store(patient("Pack")))["id"]
    given = await desk.store(consent(person))
    await desk.post(f"/fhir/Consent/{given['id']}/$withdraw")
    await officer.put("/fhir/Task/in-pack", breach(french.clinic.surface.clock.now(), "in-pack", lost_client="=1+1"))
    while await french.clinic.store.sequencer.once():
        pass

    files = await pack(officer)

    public = french.clinic.receipts["x"]
    assert isinstance(public, str)
    told = json.decode(verify_jws(files.pop("manifest.jws").decode(), unurl(public), PACK_TYPE))
    assert told["assurance"] == "operator-attested"
    assert [one["name"] for one in told["files"]] == sorted(files)
    [row] = [one for one in rows(files, "consents") if one["id"] == f"Consent/{given['id']}"]
    assert (row["patient"], row["status"], row["withdrawn"] != "") == (f"Patient/{person}", "inactive", True)
    [line] = [one for one in table(files, "breaches") if one["id"] == "Task/in-pack"]
    assert line["lost-client"] == "'=1+1", "a spreadsheet would run it"
    assert files["pack.pdf"].startswith(b"%PDF-")
    assert files["audit/checkpoint"].decode() == rows(files, "audit")[0]["checkpoint"]
    bundle = json.decode(files["bundle.json"])
    types = {one["resource"]["resourceType"] for one in bundle["entry"]}
    assert {"Basic", "Consent", "Task"} <= types


def unurl(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def table(files: dict[str, bytes], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files[f"csv/{name}.csv"].decode("utf-8-sig"))))


async def test_the_pack_is_for_the_privacy_officer_and_within_the_scopes(french: InProcess) -> None:
    for role in ("auditor", "administrator", "practitioner"):
        assert (await staff(french, role).get("/fhir/$regulator-export")).status_code == 403
    narrow = staff(french, "privacy-officer", "user/Basic.rs", "user/Task.rs")
    assert (await narrow.get("/fhir/$regulator-export")).status_code == 403


async def test_the_pack_is_in_the_log_for_each_patient_in_it(french: InProcess, officer: Caller) -> None:
    person = (await french.caller().store(patient("Logged")))["id"]
    await french.caller().store(consent(person))

    async with french.trail.recording() as recorded:
        await pack(officer)

    whats = [entity.get("what", {}) for event in recorded.events for entity in event.get("entity", [])]
    named = {what.get("reference") for what in whats}
    assert f"Patient/{person}" in named


async def test_s_44_45_46_47_48_the_report_turns_green_by_what_is_written(french: InProcess, officer: Caller) -> None:
    today = french.clinic.surface.clock.now().date()
    later, before = (today + timedelta(days=300)).isoformat(), today.isoformat()
    ids = ("patient-files", "appointments", "marketing", "video", "staff")
    for name in ids:
        await officer.put(f"/fhir/Basic/activity-{name}", activity(f"activity-{name}"))
    written = [
        entry("officer", "officer", needed=False, reasons="One practice", contact="Dr Contact"),
        entry(
            "dpia", "dpia", title="Photos", activity="activity-patient-files", reviewed=before, conclusion="May go on"
        ),
        entry(
            "risk",
            "risk",
            activity="activity-patient-files",
            threat="A lost phone",
            severity="high",
            mitigation="Nothing is kept on it",
            owner="Dr Owner",
            status="done",
        ),
        entry("host", "supplier", title="Host", service="Hosting", country="FR", non_eea_control=False),
        entry("hds", "hosting", title="Host", certificate="HDS 1", activities="5", expires=later),
        entry(
            "training",
            "training",
            person="Practitioner/officer",
            topic="photo-handling",
            done=before,
            expires=later,
            acknowledged=True,
        ),
        *(
            entry(f"review-{one}", "review", topic=one, done=before, next=later)
            for one in ("data-protection", "insurance")
        ),
    ]
    for basic in written:
        assert (await officer.put(f"/fhir/Basic/{basic['id']}", basic)).status_code in {200, 201}
    contact = {
        "purpose": {"coding": [{"system": CONTACT, "code": PRIVACY}]},
        "name": {"text": "Privacy desk"},
        "telecom": [{"system": "email", "value": "privacy@clinic.example"}],
    }
    await french.caller().store(
        {"resourceType": "Organization", "name": "Clinic", "contact": [{"name": {"text": "Sales"}}, contact]}
    )

    found = await report(officer)

    green = {name for name, one in found.items() if one["state"] == "green"}
    assert green >= {"register", "contact", "officer", "impact-assessment", "risks", "retention", "training"}
    assert green >= {"hosting", "suppliers", "review", "insurance-review", "requests"}
    assert found["contact"]["evidence"] == "Clinic, Privacy desk, privacy@clinic.example"


async def test_s_101_anybody_sees_the_certificate_and_the_key_of_receipts(french: InProcess, officer: Caller) -> None:
    host = entry("hds-own", "hosting", title="Host", certificate="HDS 7", activities=("5", "6"), expires="2030-01-01")
    cloud = {"title": "Cloud", "service": "Mail", "country": "US", "safeguard": "Clauses"}
    await officer.put("/fhir/Basic/hds-own", host)
    await officer.put("/fhir/Basic/cloud", entry("cloud", "supplier", non_eea_control=True, **cloud))

    told = read(await french.stranger.get("/.well-known/compliance"))

    [own] = [one for one in told["hosting"] if one["certificate"] == "HDS 7"]
    assert (own["activities"], own["expires"]) == (["5", "6"], "2030-01-01")
    assert told["exposure"] == [cloud]
    assert told["region"] == "FR"
    assert told["receipts"] == french.clinic.receipts


async def test_t_107_a_task_comes_up_by_itself_when_a_review_is_due(french: InProcess, officer: Caller) -> None:
    for id, done, next in (("old", "2020-01-01", "2021-01-01"), ("new", "2021-02-01", "2022-02-01")):
        basic = entry(f"due-{id}", "review", topic="premises", done=done, next=next)
        assert (await officer.put(f"/fhir/Basic/due-{id}", basic)).status_code == 201

    clock = french.clinic.surface.clock
    reviewing = [Reviewing(french.clinic.engine, THE_SERVER, clock) for _ in range(2)]
    filed = [await one() for one in (reviewing[0], reviewing[0], reviewing[1])]
    found = read(await officer.get(f"/fhir/Task?code={TASK}|{DUE}"))

    tasks = [one["resource"] for one in found["entry"]]
    assert filed == [1, 0, 0]
    assert [(one["focus"]["reference"], one["status"]) for one in tasks] == [("Basic/due-new", "requested")]
    assert (await report(officer))["requests"]["state"] == "green", "it is no request of a patient"
