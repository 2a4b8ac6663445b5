"""People with a role and a token who try to get at more: by bundles, includes, chains, conditions, links, guesses."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from fhir_server.smart.signin.users import State, User
from tests.attacks.watch import MARK
from tests.clinics import Caller, InProcess, read, running
from tests.people import Case, appointment, care_team, encounter, observation, of_patient, staff
from tests.samples import consent, jpeg, media, patient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

PATCH = "application/json-patch+json"


@dataclass
class Scene:
    """A victim whom nobody here treats, the foe's own patient, and what refers from one to the other."""

    clinic: InProcess
    victim: Case
    own: Case
    foe: str
    bridge: str
    group: str

    @property
    def practitioner(self) -> Caller:
        return staff(self.clinic, "practitioner", person=self.foe)

    @property
    def receptionist(self) -> Caller:
        return staff(self.clinic, "receptionist")


@pytest.fixture(scope="module")
async def scene(clinic: InProcess) -> Scene:
    victim, own = await Case(clinic).begin(MARK), await Case(clinic).begin("Own")
    foe, desk = f"Practitioner/{random_id()}", clinic.caller()
    await desk.store(care_team(own.patient, foe))
    await desk.store({"resourceType": "Condition", **_of(victim.patient), "code": {"text": MARK}})
    bridge = observation(
        own.patient,
        focus=[{"reference": f"Patient/{victim.patient}"}],
        hasMember=[{"reference": f"Observation/{victim.observation}"}],
        derivedFrom=[{"reference": f"Media/{victim.media}"}],
    )
    member = [{"entity": {"reference": f"Patient/{each.patient}"}} for each in (victim, own)]
    group = {"resourceType": "Group", "type": "person", "actual": True, "member": member}
    return Scene(clinic, victim, own, foe, (await desk.store(bridge))["id"], (await desk.store(group))["id"])


def _of(patient_id: str) -> Json:
    return {"subject": {"reference": f"Patient/{patient_id}"}}


def ids(bundle: Json) -> set[str]:
    return {entry["resource"]["id"] for entry in bundle.get("entry", []) if "id" in entry.get("resource", {})}


def bundle(kind: str, *entries: tuple[str, str, Json | None]) -> Json:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"request": {"method": method, "url": url}, **({"resource": body} if body else {})}
            for method, url, body in entries
        ],
    }


# Reading by id.


async def test_another_patients_resource_by_id_is_not_there(scene: Scene) -> None:
    who, victim = scene.practitioner, scene.victim

    for path in (
        f"Observation/{victim.observation}",
        f"Observation/{victim.observation}/_history",
        f"Observation/{victim.observation}/_history/1",
        f"Media/{victim.media}",
        victim.photo,
        f"Patient/{victim.patient}/Observation/{victim.observation}",
    ):
        answer = await who.get(f"/fhir/{path}")
        assert answer.status_code == 404, path
        assert MARK not in answer.text


async def test_a_binary_by_a_guessed_id_is_neither_there_nor_told_apart(scene: Scene) -> None:
    own, unknown = scene.victim.photo, "Binary/00000000000000000000000000000000"
    readers = (
        scene.practitioner,
        scene.receptionist,
        staff(scene.clinic, "marketing"),
        of_patient(scene.clinic, scene.own.patient),
        staff(scene.clinic, "practitioner", "user/Binary.r", person=scene.foe),
    )

    for who in readers:
        guessed, never = await who.get(f"/fhir/{own}"), await who.get(f"/fhir/{unknown}")
        assert guessed.status_code in {403, 404}
        assert guessed.status_code == never.status_code
        assert read(guessed)["issue"] == read(never)["issue"]
        assert (await who.get(f"/fhir/{own}", Range="bytes=0-1")).status_code == guessed.status_code


async def test_another_persons_page_link_is_nobody_elses(scene: Scene) -> None:
    for _ in range(2):
        await scene.own.desk.store(observation(scene.own.patient))
    page = read(await scene.practitioner.get(f"/fhir/Observation?patient={scene.own.patient}&_count=1"))
    [link] = [link["url"] for link in page["link"] if link["relation"] == "next"]

    for other in (
        staff(scene.clinic, "practitioner"),
        staff(scene.clinic, "receptionist", person=scene.foe),
        of_patient(scene.clinic, scene.own.patient),
        scene.clinic.caller(client="back-end"),
    ):
        assert (await other.get(link)).status_code == 400
    assert (await scene.practitioner.get(link)).status_code == 200


# Bundles.


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_bundle_does_not_escalate(scene: Scene, kind: str) -> None:
    who, victim = scene.practitioner, scene.victim
    mine = f"Observation/{scene.bridge}"
    attempts: Sequence[tuple[str, str, Json | None]] = [
        ("GET", f"Observation/{victim.observation}", None),
        ("GET", f"Media/{victim.media}", None),
        ("PUT", f"Observation/{victim.observation}", {**observation(victim.patient), "id": victim.observation}),
        ("POST", "Observation", observation(victim.patient)),
        ("POST", "AuditEvent", {"resourceType": "AuditEvent"}),
        ("DELETE", mine, None),
        ("GET", "AuditEvent?_count=1", None),
        ("GET", "Media", None),
    ]

    for attempt in attempts:
        answer = await who.post("/fhir", bundle(kind, attempt, ("GET", mine, None)))
        assert MARK not in answer.text
        if answer.status_code == 200:
            refused, allowed = read(answer)["entry"]
            assert refused["response"]["status"][:3] in {"403", "404"}, attempt
            assert allowed["response"]["status"][:3] == "200"
        else:
            assert kind == "transaction"
            assert answer.status_code in {403, 404}, attempt
    assert (await scene.victim.desk.get(f"/fhir/Observation/{victim.observation}")).json()["meta"]["versionId"] == "1"


async def test_a_transaction_does_not_tie_its_own_author_before_it_reads(scene: Scene) -> None:
    victim = scene.victim
    tie = appointment(victim.patient, scene.foe, victim.now)

    answer = await scene.practitioner.post(
        "/fhir",
        bundle("batch", ("POST", "Appointment", tie), ("GET", f"Observation/{victim.observation}", None)),
    )

    assert [entry["response"]["status"][:3] for entry in read(answer)["entry"]] == ["201", "404"]


# Includes, chains, _has.


@pytest.mark.parametrize(
    "query",
    [
        "Observation?_id={bridge}&_include=Observation:focus",
        "Observation?_id={bridge}&_include=Observation:has-member",
        "Observation?_id={bridge}&_include=Observation:derived-from",
        "Observation?_id={bridge}&_include=*",
        "Observation?_id={bridge}&_include:iterate=*",
        "Observation?_id={bridge}&_include=*&_revinclude=*",
    ],
)
async def test_an_include_brings_nothing_of_who_is_not_treated(scene: Scene, query: str) -> None:
    found = read(await scene.practitioner.get(f"/fhir/{query.format(bridge=scene.bridge)}"))

    assert scene.bridge in ids(found)
    assert not ids(found) & {scene.victim.observation, scene.victim.media}
    clinical = [
        e["resource"] for e in found["entry"] if e["resource"]["resourceType"] not in {"Patient", "Observation"}
    ]
    assert scene.victim.patient not in str(clinical)


@pytest.mark.parametrize(
    "include",
    ["Observation:subject", "Condition:subject", "Media:subject", "Encounter:subject", "*", "CareTeam:patient"],
)
async def test_a_revinclude_does_not_lead_out_of_ones_patients(scene: Scene, include: str) -> None:
    both = f"{scene.victim.patient},{scene.own.patient}"

    found = await scene.practitioner.get(f"/fhir/Patient?_id={both}&_revinclude={include}")

    assert found.status_code in {200, 400}, found.text
    listed = {
        entry["resource"]["id"]
        for entry in read(found).get("entry", [])
        if entry["resource"]["resourceType"] != "Patient"
        and f"Patient/{scene.victim.patient}" == entry["resource"].get("subject", {}).get("reference")
    }
    assert not listed


@pytest.mark.parametrize(
    "query", ["Patient?_revinclude=Observation:subject", "Patient?_revinclude=*", "Patient?_include=*&_revinclude=*"]
)
async def test_a_revinclude_does_not_lead_out_of_ones_own_compartment(scene: Scene, query: str) -> None:
    own = of_patient(scene.clinic, scene.own.patient, "patient/*.rs")

    found = read(await own.get(f"/fhir/{query}"))

    assert not ids(found) & {scene.victim.patient, scene.victim.observation, scene.victim.media, scene.group}


@pytest.mark.parametrize("role", ["receptionist", "marketing", "administrator"])
async def test_an_include_brings_no_type_that_the_role_does_not_see(scene: Scene, role: str) -> None:
    who = staff(scene.clinic, role)

    for query in (f"Patient?_id={scene.own.patient}&_revinclude=*", "Practitioner?_revinclude=*&_count=1"):
        answer = await who.get(f"/fhir/{query}")
        assert answer.status_code in {200, 400, 403}
        types = {entry["resource"]["resourceType"] for entry in read(answer).get("entry", [])}
        assert not types & {"Observation", "Media", "Condition", "Encounter", "CareTeam", "Consent"}


@pytest.mark.parametrize(
    ("true", "false"),
    [
        (
            "Patient?_has:Condition:subject:code:text={mark}&_id={victim}",
            "Patient?_has:Condition:subject:code:text=zz&_id={victim}",
        ),
        (
            "Patient?_has:Observation:subject:status=final&_id={victim}",
            "Patient?_has:Observation:subject:status=amended&_id={victim}",
        ),
        (
            "Patient?_has:Media:subject:status=completed&_id={victim}",
            "Patient?_has:Media:subject:status=aborted&_id={victim}",
        ),
    ],
)
async def test_has_answers_alike_whether_it_is_so_or_not(scene: Scene, true: str, false: str) -> None:
    """A role that does not see a type, and a practitioner who does not treat, learn nothing by asking round it."""
    asked = {"mark": MARK, "victim": scene.victim.patient}

    for who in (scene.practitioner, scene.receptionist, staff(scene.clinic, "marketing")):
        answers = [await who.get(f"/fhir/{query.format(**asked)}") for query in (true, false)]
        assert answers[0].status_code == answers[1].status_code
        assert [read(answer).get("total", 0) for answer in answers] == [0, 0]


async def test_a_chain_answers_by_ones_own_patients_alone(scene: Scene) -> None:
    who = scene.practitioner

    for query, found in (
        (f"Observation?focus:Patient.name={MARK}", {scene.bridge}),
        ("Observation?has-member:Observation.status=final", set[str]()),
        ("Observation?derived-from:Media.status=completed", set[str]()),
    ):
        answer = await who.get(f"/fhir/{query}")
        assert answer.status_code in {200, 403}
        assert ids(read(answer)) <= found, query


async def test_everything_of_a_patient_is_what_the_role_sees_of_them(scene: Scene) -> None:
    victim, own = scene.victim, scene.own
    path = "/fhir/Patient/{}/$everything?_count=1000"

    untied = read(await scene.practitioner.get(path.format(victim.patient)))
    tied = read(await scene.practitioner.get(path.format(own.patient)))
    desk = read(await scene.receptionist.get(path.format(own.patient)))
    other = await of_patient(scene.clinic, own.patient).get(path.format(victim.patient))

    assert ids(untied) <= {victim.patient}
    assert ids(tied) >= {own.patient, own.observation, own.media}
    assert not ids(tied) & {victim.observation, victim.media}
    kinds = {entry["resource"]["resourceType"] for entry in desk["entry"]}
    assert not kinds & {"Observation", "Media", "Condition", "Encounter", "CareTeam", "Consent", "Binary"}
    assert other.status_code == 404
    for role in ("marketing", "administrator", "auditor"):
        assert (await staff(scene.clinic, role).get(path.format(own.patient))).status_code == 403


async def test_a_match_is_a_search_of_the_role(scene: Scene) -> None:
    """Nobody finds a patient by it whom they do not find by searching, nor sees more of them."""
    secret = await scene.clinic.caller().store(
        patient("Likeness", birthDate="1971-03-04", photo=[{"url": f"urn:{MARK}"}], maritalStatus={"text": MARK})
    )
    like = {"resourceType": "Patient", "name": secret["name"], "birthDate": "1971-03-04"}
    asked = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": like}]}

    at_the_desk = await scene.receptionist.post("/fhir/Patient/$match", asked)
    other = await of_patient(scene.clinic, scene.own.patient).post("/fhir/Patient/$match", asked)

    assert ids(read(at_the_desk)) == {secret["id"]}
    assert MARK not in at_the_desk.text
    assert other.status_code == 200
    assert not ids(read(other))
    for role in ("marketing", "administrator", "auditor"):
        assert (await staff(scene.clinic, role).post("/fhir/Patient/$match", asked)).status_code == 403


# Conditions, and what a write is answered with.


async def test_a_conditional_create_does_not_ask_about_others(scene: Scene) -> None:
    victim, who = scene.victim, scene.practitioner
    identifier = [{"system": "urn:attack", "value": MARK}]
    hidden = await victim.desk.store(observation(victim.patient, identifier=identifier))
    mine = observation(scene.own.patient, identifier=identifier)

    answer = await who.post("/fhir/Observation", mine, If_None_Exist=f"identifier=urn:attack|{MARK}")

    assert answer.status_code == 201
    assert hidden["id"] not in answer.headers["location"]
    updated = await who.put(f"/fhir/Observation?identifier=urn:attack|{MARK}&patient={victim.patient}", mine)
    assert updated.status_code in {201, 403}
    assert (await victim.desk.get(f"/fhir/Observation/{hidden['id']}")).json()["meta"]["versionId"] == "1"


async def test_a_condition_needs_the_right_to_search(scene: Scene) -> None:
    writer = staff(scene.clinic, "practitioner", "user/Observation.cu", person=scene.foe)

    answer = await writer.post("/fhir/Observation", observation(scene.own.patient), If_None_Exist="status=final")

    assert answer.status_code == 403


async def test_prefer_return_representation_shows_no_more_than_a_read(scene: Scene, clinic: InProcess) -> None:
    secret = await clinic.caller().store(patient(MARK, photo=[{"url": f"urn:{MARK}"}], maritalStatus={"text": MARK}))
    wanted = {"Prefer": "return=representation"}
    path = f"/fhir/Patient/{secret['id']}"

    blind = staff(clinic, "practitioner", "user/Observation.cu", person=scene.foe)
    created = await blind.post("/fhir/Observation", observation(scene.own.patient), **wanted)
    part = await scene.receptionist.put(path, {**patient("New"), "id": secret["id"]}, **wanted)
    patched = await scene.receptionist.ask(
        "PATCH", path, '[{"op": "add", "path": "/active", "value": true}]', Content_Type=PATCH, **wanted
    )
    batch = bundle("batch", ("PUT", f"Patient/{secret['id']}", {**patient("Newer"), "id": secret["id"]}))
    entry = await scene.receptionist.post("/fhir", batch, **wanted)

    assert (created.status_code, created.content) == (201, b"")
    for answer in (part, patched, entry):
        assert answer.status_code == 200, answer.text
        assert MARK not in answer.text
    assert (await clinic.caller().get(path)).json()["photo"] == secret["photo"]


# Masks.


@pytest.mark.parametrize(
    "query",
    [
        "Appointment?reason-code=x",
        "Appointment?reason-code:missing=false",
        "Appointment?reason-code:not=x",
        "Appointment?reason-reference=Condition/1",
        "Appointment?reason-reference:Condition.code=x",
        "Appointment?supporting-info:missing=false",
        "Appointment?_sort=reason-code",
        "Appointment?_sort=-reason-reference",
        "Patient?_has:Appointment:patient:reason-code=x",
        "Slot?_has:Appointment:slot:reason-reference=Condition/1",
        "Patient?_has:Appointment:patient:reason-code:missing=false",
        "Patient?_text=x",
        "Appointment?_content=x",
        "Appointment?_filter=reason-code eq x",
    ],
)
async def test_a_masked_element_is_asked_about_in_no_way(scene: Scene, query: str) -> None:
    for more in ("", "&_summary=count", "&_total=accurate"):
        answer = await scene.receptionist.get(f"/fhir/{query}{more}")
        assert answer.status_code in {400, 403}, query
    posted = await scene.receptionist.post(
        f"/fhir/{query.partition('?')[0]}/_search",
        query.partition("?")[2],
        Content_Type="application/x-www-form-urlencoded",
    )
    assert posted.status_code in {400, 403}
    entry = read(await scene.receptionist.post("/fhir", bundle("batch", ("GET", query, None))))["entry"][0]
    assert entry["response"]["status"][:3] in {"400", "403"}


async def test_a_masked_reference_is_not_followed(scene: Scene) -> None:
    desk = scene.own.desk
    condition = await desk.store({"resourceType": "Condition", **_of(scene.own.patient), "code": {"text": MARK}})
    reason = [{"reference": f"Condition/{condition['id']}"}]
    booked = await desk.store(appointment(scene.own.patient, scene.foe, scene.own.now, reasonReference=reason))

    for include in ("Appointment:reason-reference", "*"):
        found = await scene.receptionist.get(f"/fhir/Appointment?_id={booked['id']}&_include={include}")
        assert condition["id"] not in found.text
        assert MARK not in found.text


async def test_a_photo_is_not_looked_for_by_whom_it_shows(scene: Scene) -> None:
    who = staff(scene.clinic, "marketing")

    for query in (
        f"Media?subject=Patient/{scene.victim.patient}",
        f"Media?patient={scene.victim.patient}",
        f"Media?patient:Patient.name={MARK}",
        f"Media?subject:Patient._id={scene.victim.patient}",
        "Media?_sort=subject",
        "Media?note=x",
        "Media?encounter:missing=false",
        f"Patient/{scene.victim.patient}/Media",
    ):
        assert (await who.get(f"/fhir/{query}")).status_code in {400, 403}, query


# Moving what is stored.


async def test_the_subject_of_what_is_stored_is_not_changed_into_or_out_of_a_file(scene: Scene) -> None:
    who, victim, own = scene.practitioner, scene.victim, scene.own
    mine = await own.desk.store(observation(own.patient))
    path = f"/fhir/Observation/{mine['id']}"
    turned = f'[{{"op": "replace", "path": "/subject/reference", "value": "Patient/{victim.patient}"}}]'

    assert (await who.put(path, {**observation(victim.patient), "id": mine["id"]})).status_code == 403
    assert (await who.ask("PATCH", path, turned, Content_Type=PATCH)).status_code == 403
    theirs = {**observation(own.patient), "id": victim.observation}
    assert (await who.put(f"/fhir/Observation/{victim.observation}", theirs)).status_code == 404
    moved = {**read(await own.desk.get(f"/fhir/Media/{own.media}")), **_of(victim.patient)}
    assert (await who.put(f"/fhir/Media/{own.media}", moved)).status_code in {403, 422}
    assert (await own.desk.get(path)).json()["subject"]["reference"] == f"Patient/{own.patient}"


@pytest.mark.parametrize(
    "written",
    [
        {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": "victim", "author": "own"},
        {"resourceType": "Communication", "status": "completed", "subject": "victim", "sender": "own"},
        {"resourceType": "Communication", "status": "completed", "subject": "own", "recipient": ["victim"]},
    ],
)
async def test_a_patient_writes_into_nobody_elses_file_beside_their_own(scene: Scene, written: Json) -> None:
    def named(value: object) -> object:
        if isinstance(value, list):
            return [named(one) for one in value]
        case = {"victim": scene.victim, "own": scene.own}.get(str(value))
        return {"reference": f"Patient/{case.patient}"} if case else value

    who = of_patient(scene.clinic, scene.own.patient)
    resource: Json = {name: named(value) for name, value in written.items()}
    own = {name: named("own") if value == "victim" else value for name, value in written.items()}

    assert (await who.post(f"/fhir/{written['resourceType']}", resource)).status_code == 403
    alone = {name: [named("own")] if isinstance(value, list) else named(value) for name, value in own.items()}
    assert (await who.post(f"/fhir/{written['resourceType']}", alone)).status_code == 201


async def test_what_the_clinic_linked_stays_when_a_patient_changes_their_own(scene: Scene) -> None:
    link = [{"other": {"reference": f"Patient/{scene.victim.patient}"}, "type": "seealso"}]
    own = await scene.own.desk.store({**patient("Linked"), "link": link})
    who = of_patient(scene.clinic, own["id"])

    answer = await who.put(f"/fhir/Patient/{own['id']}", {**own, "telecom": [{"system": "phone", "value": "1"}]})

    assert answer.status_code == 200, answer.text
    assert read(answer)["link"] == link


async def test_a_photo_is_not_stored_for_who_is_not_treated(scene: Scene) -> None:
    before = await scene.clinic.counts()

    answer = await scene.practitioner.post("/fhir/Media", media(scene.victim.patient, jpeg()))

    assert answer.status_code == 403
    assert await scene.clinic.counts() == before


# Ties of one's own making.


def own_ties(patient_id: str, who: str, now: Any) -> dict[str, Json]:
    return {
        "Appointment": appointment(patient_id, who, now),
        "Encounter": encounter(patient_id, who),
        "CareTeam": care_team(patient_id, who),
    }


@pytest.mark.parametrize("kind", ["Appointment", "Encounter", "CareTeam"])
@pytest.mark.parametrize("role", ["practitioner", "nurse"])
async def test_an_appointment_that_one_made_oneself_ties_nobody(scene: Scene, kind: str, role: str) -> None:
    victim, who = scene.victim, staff(scene.clinic, role, person=scene.foe)

    made = await who.post(f"/fhir/{kind}", own_ties(victim.patient, scene.foe, victim.now)[kind])

    assert made.status_code in {201, 403}
    assert not await victim.sees(who)
    assert not await victim.sees(scene.practitioner)


async def test_nor_one_that_another_user_of_the_same_person_made(scene: Scene) -> None:
    victim = scene.victim
    at_the_desk = staff(scene.clinic, "receptionist", person=scene.foe, client="desk-app")

    made = await at_the_desk.post("/fhir/Appointment", appointment(victim.patient, scene.foe, victim.now))

    assert made.status_code == 201
    assert not await victim.sees(scene.practitioner)


async def test_nor_one_that_was_found_and_turned_to_oneself(scene: Scene) -> None:
    victim, other = scene.victim, f"Practitioner/{random_id()}"
    booked = await victim.desk.store(appointment(victim.patient, other, victim.now))
    turned = {**appointment(victim.patient, scene.foe, victim.now), "id": booked["id"]}

    answer = await staff(scene.clinic, "receptionist", person=scene.foe).put(
        f"/fhir/Appointment/{booked['id']}", turned
    )

    assert answer.status_code == 200
    assert not await victim.sees(scene.practitioner)


async def test_a_colleagues_appointment_is_no_tie_of_ones_own(scene: Scene) -> None:
    victim, colleague = scene.victim, f"Practitioner/{random_id()}"
    await victim.desk.store(appointment(victim.patient, colleague, victim.now))

    assert await victim.sees(staff(scene.clinic, "practitioner", person=colleague))
    assert not await victim.sees(scene.practitioner)


async def test_nor_one_that_was_booked_by_operation(scene: Scene) -> None:
    """`$book` writes as whoever asks for it: a Slot of one's own, taken for a patient, is a tie of one's own making."""
    case = await Case(scene.clinic).begin("Booked")
    at = case.now + timedelta(days=1)
    days = await case.desk.store({"resourceType": "Schedule", "actor": [{"reference": scene.foe}]})
    slot = {"resourceType": "Slot", "schedule": {"reference": f"Schedule/{days['id']}"}, "status": "free"}
    slot |= {"start": instant(at), "end": instant(at + timedelta(minutes=30))}
    own_desk = staff(scene.clinic, "receptionist", person=scene.foe)

    statuses = []
    for who in (scene.practitioner, own_desk, scene.receptionist):
        free = (await case.desk.store(slot))["id"]
        given = {"appointment-reference": f"Appointment/{free}", "patient-reference": f"Patient/{case.patient}"}
        asked = [{"name": name, "valueReference": {"reference": each}} for name, each in given.items()]
        answer = await who.post("/fhir/Appointment/$book", {"resourceType": "Parameters", "parameter": asked})
        statuses.append((answer.status_code, await case.sees(scene.practitioner)))

    assert [sees for _, sees in statuses] == [False, False, True]
    assert [status for status, _ in statuses] == [403, 204, 204]


async def test_t_74_in_a_clinic_of_one_a_setting_lets_ones_own_count_and_the_compliance_report_shows_it(
    mongo_uri: str, database_name: str, tmp_path: Path
) -> None:
    async with running(mongo_uri, database_name, tmp_path, self_made_ties=True) as own:
        assert not await own.clinic.store.doorway.users.all(), "nobody, with whatever password, but in the demo"
        assert not own.clinic.store.clients.all()
        case = await Case(own).begin()
        alone = staff(own, "practitioner", person="Practitioner/alone")
        assert not await case.sees(alone)

        await alone.post("/fhir/Appointment", appointment(case.patient, "Practitioner/alone", case.now))
        for name, roles, state in (
            ("alone", ("administrator", "practitioner"), State.ACTIVE),
            ("desk", ("receptionist",), State.ACTIVE),
            ("before", ("nurse",), State.LEFT),
        ):
            user = User(name, name, name, roles, f"Practitioner/{name}", case.now, state)
            assert await own.clinic.store.doorway.users.add(user)

        assert await case.sees(alone)
        told = await reported_ties(own)
        assert told["state"] == "amber"
        assert "FHIR_SERVER_SELF_MADE_TIES" in told["evidence"]
        assert "treat: 1." in told["evidence"], "neither the desk nor who left"


async def test_t_74_where_they_do_not_count_the_compliance_report_says_so(scene: Scene) -> None:
    told = await reported_ties(scene.clinic)

    assert (told["state"], told["basis"]) == ("green", "GDPR Art. 25(2)")
    assert "only if somebody else" in told["evidence"]


async def reported_ties(clinic: InProcess) -> dict[str, Any]:
    """What `$compliance-report` says of treating ties, in the pack for the regulator too."""
    officer = staff(clinic, "privacy-officer")
    duties = read(await officer.get("/fhir/$compliance-report"))["parameter"][1:]
    told = [{one["name"]: one.get("valueCode", one.get("valueString")) for one in duty["part"]} for duty in duties]
    with zipfile.ZipFile(io.BytesIO((await officer.get("/fhir/$regulator-export")).content)) as pack:
        sections = {one["name"]: one["rows"] for one in json.decode(pack.read("pack.json"))["sections"]}
        assert pack.read("pack.pdf").startswith(b"%PDF")
    [found] = [one for one in told if one["name"] == "treating-ties"]
    [row] = [row for row in sections["compliance"] if row["duty"] == "treating-ties"]
    [measure] = [row for row in sections["security"] if row["measure"] == "treating-ties"]
    assert (row["state"], row["evidence"]) == (found["state"], found["evidence"])
    assert (measure["says"], measure["holds"] == "yes") == (found["evidence"], found["state"] == "green")
    return found


# Tokens that say too much.


@pytest.mark.parametrize(
    ("role", "scopes", "more"),
    [
        ("practitioner", ("system/*.cruds",), {}),
        (None, ("user/*.cruds", "patient/*.cruds"), {"patient": "x"}),
        ("no-such-role", ("user/*.cruds", "system/*.cruds"), {}),
        ("", ("user/*.cruds", "system/*.cruds"), {}),
        ("Practitioner", ("user/*.cruds",), {}),
        ("patient", ("user/*.cruds",), {"fhir_user": "Patient/a", "patient": "b"}),
        ("related-person", ("user/*.cruds",), {}),
        ("clinical-lead", ("user/*.cruds",), {"purposes": ("TREAT",)}),
    ],
)
async def test_scopes_do_not_make_a_role(
    scene: Scene, role: str | None, scopes: tuple[str, ...], more: dict[str, Any]
) -> None:
    holder = scene.clinic.caller(*scopes, role=role, **more)

    for path in (f"Observation/{scene.victim.observation}", f"Patient/{scene.victim.patient}", scene.victim.photo):
        assert (await holder.get(f"/fhir/{path}")).status_code in {403, 404}
    assert (await holder.get("/fhir/Observation")).status_code in {200, 403}
    assert not ids(read(await holder.get("/fhir/Observation")))


async def test_an_old_appointment_of_somebody_elses_making_is_over(scene: Scene) -> None:
    victim, before = scene.victim, f"Practitioner/{random_id()}"
    await victim.desk.store(appointment(victim.patient, before, victim.now - timedelta(days=400)))

    assert not await victim.sees(staff(scene.clinic, "practitioner", person=before))


async def test_a_consent_is_neither_given_nor_altered_for_who_is_not_treated(scene: Scene) -> None:
    who, victim = scene.practitioner, scene.victim
    [given] = read(await victim.desk.get(f"/fhir/Consent?patient={victim.patient}"))["entry"]

    assert (await who.post("/fhir/Consent", consent(victim.patient, "photo-marketing"))).status_code == 403
    assert (await who.post(f"/fhir/Consent/{given['resource']['id']}/$withdraw")).status_code == 404
    assert (await who.put(f"/fhir/Consent/{given['resource']['id']}", given["resource"])).status_code == 403
