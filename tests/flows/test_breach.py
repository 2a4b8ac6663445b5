"""A breach: the clock of 72 hours, how far it reached, what the authority is told, and letters to the patients."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from fhir_server.privacy.breaches import reach
from fhir_server.privacy.breaches.record import SYSTEM
from fhir_server.privacy.contact import PRIVACY
from fhir_server.privacy.contact import SYSTEM as CONTACT
from fhir_server.smart.clients.client import Client, Kind
from fhir_server.smart.signin.users import User
from tests.clinics import Caller, InProcess, read, running
from tests.flows.accounts import HOUR, breach
from tests.people import care_team, observation, staff
from tests.samples import patient

pytestmark = pytest.mark.anyio

PHONE = "Practitioner/phone"
INVENTED = {"type": {"coding": [{"system": SYSTEM, "code": "invented"}]}, "valueString": "a"}


@pytest.fixture(scope="module")
async def clinic(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder = tmp_path_factory.mktemp("breach")
    async with running(mongo_uri, "breach", folder, jurisdiction="fr", worker_interval=3600) as opened:
        yield opened


@pytest.fixture(scope="module")
def officer(clinic: InProcess) -> Caller:
    return staff(clinic, "privacy-officer")


@pytest.fixture(scope="module")
async def people(clinic: InProcess) -> tuple[str, str, str]:
    """One whose record the lost phone looked at, one whom its owner also treats, and a stranger to them."""
    desk = clinic.caller()
    seen, tied, other = [(await desk.store(patient(name)))["id"] for name in ("Seen", "Tied", "Other")]
    for id in (seen, tied, other):
        await desk.store({**observation(id), "id": f"of-{id}"})
    for id in (seen, tied):
        await desk.store(care_team(id, PHONE))
    doctor = staff(clinic, "practitioner", person=PHONE, client="app-of-the-phone")
    assert (await doctor.get(f"/fhir/Observation/of-{seen}")).status_code == 200
    now = clinic.clinic.surface.clock.now()
    await clinic.clinic.store.doorway.users.add(User("phone", "phone", "Dr Phone", ("practitioner",), PHONE, now))
    clinic.clinic.store.clients.save(Client("mapper", Kind.BACKEND, "Mapper", ("system/Observation.rs",)))
    while await clinic.clinic.store.events.index():
        pass
    return seen, tied, other


def now_of(clinic: InProcess) -> datetime:
    return clinic.clinic.surface.clock.now()


async def record(officer: Caller, written: Json) -> str:
    answer = await officer.put(f"/fhir/Task/{written['id']}", written)
    assert answer.status_code in {200, 201}, answer.text
    return str(written["id"])


async def scope(officer: Caller, id: str) -> tuple[dict[str, object], dict[str, dict[str, int]]]:
    """What is told once; and the patients by whether it is confirmed, with how many records of theirs."""
    answer = await officer.get(f"/fhir/Task/{id}/$breach-scope")
    assert answer.status_code == 200, answer.text
    once: dict[str, object] = {}
    patients: dict[str, dict[str, int]] = {"confirmed": {}, "possible": {}}
    for one in read(answer)["parameter"]:
        if "part" in one:
            [patient_part, records] = one["part"]
            id = patient_part["valueReference"]["reference"].removeprefix("Patient/")
            patients[one["name"]][id] = records["valueUnsignedInt"]
        else:
            once[one["name"]] = next(value for name, value in one.items() if name.startswith("value"))
    return once, patients


async def test_s_20_s_66_a_breach_is_documented_and_its_clock_is_the_laws(clinic: InProcess, officer: Caller) -> None:
    aware = now_of(clinic) - HOUR
    written = {**breach(aware, "clock"), "restriction": {"period": {"end": "2099-01-01"}}}

    stored = read(await officer.put("/fhir/Task/clock", written))

    end = datetime.fromisoformat(stored["restriction"]["period"]["end"])
    assert timedelta(0) <= aware + 72 * HOUR - end < timedelta(milliseconds=1)
    for name in ("aware", "severity", "nature"):
        bare = [one for one in written["input"] if one["type"]["coding"][0]["code"] != name]
        assert (await officer.put("/fhir/Task/bare", {**written, "id": "bare", "input": bare})).status_code == 422


async def test_s_66_late_needs_a_reason(clinic: InProcess, officer: Caller) -> None:
    at = now_of(clinic)
    known = {"consequences": "Somebody may see it", "measures": "Locked", "notified": at}
    late = breach(at - 80 * HOUR, "late", "completed", **known)

    refused = await officer.put("/fhir/Task/late", late)
    taken = await officer.put(
        "/fhir/Task/late", breach(at - 80 * HOUR, "late", "completed", late_because="Found on a Sunday", **known)
    )

    assert (refused.status_code, "late-because" in refused.text) == (422, True)
    assert taken.status_code == 201


async def test_a_breach_ends_told_or_with_the_reason_why_not(clinic: InProcess, officer: Caller) -> None:
    at = now_of(clinic)
    known = {"consequences": "None", "measures": "None needed"}

    silent = await officer.put("/fhir/Task/ends", breach(at - HOUR, "ends", "completed", **known))
    bare = await officer.put("/fhir/Task/ends", breach(at - HOUR, "ends", "completed", notified=at))
    told = breach(at - 99 * HOUR, "ends", "completed", not_notified_because="Sealed: no risk", **known)

    assert (silent.status_code, bare.status_code) == (422, 422)
    assert (await officer.put("/fhir/Task/ends", told)).status_code == 201


async def test_a_breach_stays_a_breach_with_its_clock(clinic: InProcess, officer: Caller) -> None:
    at = now_of(clinic)
    await record(officer, breach(at - 2 * HOUR, "stays"))

    refused = [
        breach(at - HOUR, "stays"),
        {**breach(at - 2 * HOUR, "stays"), "code": {"text": "nothing"}},
        breach(at - 2 * HOUR, "stays", severity="terrible"),
        breach(at - 2 * HOUR, "stays", until=at + HOUR),
        {**breach(at - 2 * HOUR, "stays"), "input": [INVENTED]},
    ]

    for written in refused:
        answer = await clinic.caller().put("/fhir/Task/stays", written)
        assert answer.status_code == 422, answer.text
    assert (await clinic.caller().delete("/fhir/Task/stays")).status_code == 405
    await clinic.caller().store({"resourceType": "Task", "id": "other", "status": "requested", "intent": "order"})
    assert (await clinic.caller().delete("/fhir/Task/other")).status_code == 204


async def test_s_21_a_lost_sign_in_reached_what_the_log_shows_and_could_have_what_its_role_sees(
    clinic: InProcess, officer: Caller, people: tuple[str, str, str]
) -> None:
    seen, tied, other = people
    since = now_of(clinic) - HOUR
    id = await record(officer, breach(since, "phone", since=since, lost_person=PHONE, practitioner=PHONE))

    once, patients = await scope(officer, id)

    assert {name: found.keys() for name, found in patients.items()} == {
        "confirmed": {seen},
        "possible": {tied, other},
    }, "a practitioner finds every patient, and opens the files of their own"
    assert patients["possible"][tied] > patients["possible"][other] == 1
    assert (once["intelligible"], once["patients-confirmed"], once["patients-possible"]) == (True, 1, 3)


async def test_s_21_nothing_before_or_after_counts(
    clinic: InProcess, officer: Caller, people: tuple[str, str, str]
) -> None:
    at, app = now_of(clinic), "app-of-the-phone"
    before = await record(officer, breach(at, "before", since=at - 3 * HOUR, until=at - 2 * HOUR, lost_client=app))
    around = await record(officer, breach(at, "around", since=at - 3 * HOUR, until=at, lost_client=app))

    (nothing, nobody), (something, somebody) = await scope(officer, before), await scope(officer, around)

    assert (nothing["events"], nobody["confirmed"]) == (0, {})
    assert something["events"]
    assert somebody["confirmed"].keys() == {people[0]}


async def test_s_21_a_lost_client_could_reach_what_its_scopes_reach(
    clinic: InProcess, officer: Caller, people: tuple[str, str, str]
) -> None:
    id = await record(officer, breach(now_of(clinic), "client", lost_client="mapper"))
    unknown = await record(officer, breach(now_of(clinic), "unknown", lost_client=random_id()))

    once, patients = await scope(officer, id)

    assert patients == {"confirmed": {}, "possible": dict.fromkeys(people, 1)}
    assert once["records-possible"] == len(people), "observations, and nothing else"
    assert (await scope(officer, unknown))[1] == {"confirmed": {}, "possible": {}}


async def test_s_21_keys_reach_what_they_seal_and_a_copy_without_them_nothing(
    clinic: InProcess, officer: Caller, people: tuple[str, str, str]
) -> None:
    at = now_of(clinic)
    key = await record(officer, breach(at, "key", lost_patient_key=f"Patient/{people[0]}"))
    dump = await record(officer, breach(at, "dump", lost_dump=True))
    root = await record(officer, breach(at, "root", lost_root_key=True))
    both = await record(officer, breach(at, "both", lost_dump=True, lost_root_key=True))

    found = {id: await scope(officer, id) for id in (key, dump, root, both)}

    assert found[key][1]["possible"].keys() == {people[0]}
    assert {id: once["intelligible"] for id, (once, _) in found.items()} == {
        key: True,
        dump: False,
        root: False,
        both: True,
    }
    assert found[dump][1]["possible"] == found[both][1]["possible"]
    assert found[both][1]["possible"].keys() >= set(people)


async def test_s_1_s_22_s_67_the_authority_is_told_what_it_asks_for(clinic: InProcess, officer: Caller) -> None:
    at = now_of(clinic)
    id = await record(officer, breach(at, "told", practitioner=PHONE, consequences="Embarrassment", lost_dump=True))

    told = {one["name"]: one for one in read(await officer.get(f"/fhir/Task/{id}/$breach-notification"))["parameter"]}

    assert "CNIL" in told["authority"]["valueString"]
    assert told["nature"]["valueString"] == "A phone was stolen"
    assert told["patients-possible"]["valueUnsignedInt"] >= 0
    assert told["consequences"]["valueString"] == "Embarrassment"
    assert told["largest-fine"]["valueMoney"] == {"value": 20_000_000, "currency": "EUR"}
    assert str(told["largest-fine-share"]["valueDecimal"]) == "0.04"
    assert told["missing"]["valueCode"] in {"contact", "measures"}
    assert told["late"]["valueBoolean"] is False
    stored = read(await officer.get(f"/fhir/Task/{id}"))
    assert {"reference": PHONE} in [one.get("valueReference") for one in stored["input"]]


async def test_s_68_each_patient_of_a_breach_of_high_risk_gets_one_letter(
    clinic: InProcess, officer: Caller, people: tuple[str, str, str]
) -> None:
    contact = {"purpose": {"coding": [{"system": CONTACT, "code": PRIVACY}]}, "name": {"text": "Privacy desk"}}
    desk, at = clinic.caller(), now_of(clinic)
    said = {"consequences": "C", "lost_client": "mapper"}
    low = await record(officer, breach(at, "low", **said))
    bare = await record(officer, breach(at, "bare-letter", high_risk=True, **said))
    high = await record(officer, breach(at, "high", high_risk=True, measures="M", **said))

    assert (await officer.post(f"/fhir/Task/{low}/$breach-letters")).status_code == 422
    assert (await officer.post(f"/fhir/Task/{bare}/$breach-letters")).status_code == 422
    await desk.store({"resourceType": "Organization", "name": "Clinic", "contact": [contact]})
    first = read(await officer.post(f"/fhir/Task/{high}/$breach-letters"))
    again = read(await officer.post(f"/fhir/Task/{high}/$breach-letters"))

    assert first == again
    letters = [read(await desk.get(f"/fhir/{one['valueReference']['reference']}")) for one in first["parameter"]]
    assert sorted(one["subject"]["reference"] for one in letters) == sorted(f"Patient/{id}" for id in people)
    assert {(one["meta"]["versionId"], one["status"]) for one in letters} == {("1", "preparation")}
    text = letters[0]["payload"][0]["contentString"]
    assert all(part in text for part in ("A phone was stolen", "C", "M", "Clinic, Privacy desk", "Madame, Monsieur"))


async def test_more_than_can_be_listed_is_refused_and_not_cut(
    clinic: InProcess, officer: Caller, people: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = now_of(clinic)
    await record(officer, breach(at, "much", lost_client="mapper"))
    await record(officer, breach(at, "most", lost_dump=True))
    monkeypatch.setattr(reach, "MOST_RESOURCES", len(people) - 1)

    for id in ("much", "most"):
        answer = await officer.get(f"/fhir/Task/{id}/$breach-scope")
        assert (answer.status_code, "too-costly" in answer.text) == (400, True)


async def test_a_scope_takes_the_log_and_a_task_that_is_a_breach(clinic: InProcess, officer: Caller) -> None:
    id = await record(officer, breach(now_of(clinic), "guarded", lost_person=PHONE))
    other = {"resourceType": "Task", "id": "none", "status": "requested", "intent": "order"}
    await clinic.caller().store(other)

    assert (await staff(clinic, "auditor").get(f"/fhir/Task/{id}/$breach-scope")).status_code == 403
    narrow = staff(clinic, "privacy-officer", "user/Task.rs")
    assert (await narrow.get(f"/fhir/Task/{id}/$breach-scope")).status_code == 403
    everything = clinic.caller("system/*.cruds", "system/AuditEvent.rs")
    assert (await everything.get("/fhir/Task/none/$breach-scope")).status_code == 422


async def test_s_66_a_breach_past_its_hours_is_red(clinic: InProcess, officer: Caller) -> None:
    await record(officer, breach(now_of(clinic) - 73 * HOUR, "overdue"))

    duties = [one["part"] for one in read(await officer.get("/fhir/$compliance-report"))["parameter"][1:]]
    [found] = [part for part in duties if part[0]["valueCode"] == "breaches"]

    assert (found[3]["valueCode"], "Task/overdue" in found[4]["valueString"]) == ("red", True)
