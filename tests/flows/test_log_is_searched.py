"""ITI-81 and the rules of the log: found by each of its parameters, added to by the server, changed by nobody."""

from collections.abc import Sequence

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("indexed")]

IDENTIFIER: Json = {"system": "urn:oid:1.2.250", "value": "S-77"}


@pytest.fixture
def auditor(clinic: InProcess) -> Caller:
    return clinic.caller("system/AuditEvent.rs", "system/Patient.rs", client="the-auditor")


@pytest.fixture(scope="module")
async def person(clinic: InProcess) -> str:
    """The id of a patient whose record a person at the clinic created."""
    doctor = clinic.caller(client="the-searched-app", fhir_user="Practitioner/searched")
    stored = await doctor.store({**patient("Searched", id="searched-7"), "identifier": [IDENTIFIER]})
    return str(stored["id"])


def events(body: Json) -> Sequence[Json]:
    return [entry["resource"] for entry in body.get("entry", [])]


@pytest.mark.parametrize(
    ("found", "not_found"),
    [
        ("date=ge2000-01-01&date=le2100-01-01", "date=ge2000-01-01&date=le2001-01-01"),
        ("type=http://terminology.hl7.org/CodeSystem/audit-event-type|rest", "type=110114"),
        ("subtype=http://hl7.org/fhir/restful-interaction|update", "subtype=read"),
        ("outcome=0", "outcome=8"),
        ("action=U", "action=D"),
        ("entity-type=http://terminology.hl7.org/CodeSystem/audit-entity-type|1", "entity-type=4"),
        ("entity-role=http://terminology.hl7.org/CodeSystem/object-role|1", "entity-role=24"),
        ("agent:identifier=the-searched-app", "agent:identifier=another"),
        ("agent=Practitioner/searched", "agent=Practitioner/another"),
        ("source:identifier=http://127.0.0.1:8000/fhir", "source:identifier=http://elsewhere"),
        ("entity=Patient/searched-7", "entity=Patient/another"),
        ("patient.identifier=urn:oid:1.2.250|S-77", "patient.identifier=urn:oid:1.2.250|another"),
        ("entity:Patient.identifier=S-77", "entity:Patient.identifier=another"),
        ("address=127.0.0.1", "address=10.0.0.1"),
    ],
)
async def test_r_balp_018_the_log_is_found_by_each_parameter(
    auditor: Caller, person: str, found: str, not_found: str
) -> None:
    of = f"patient=Patient/{person}&action=U"
    [written] = events(read(await auditor.get(f"/fhir/AuditEvent?{of}")))

    answer = await auditor.get(f"/fhir/AuditEvent?{of}&{found}")

    assert answer.status_code == 200, answer.text
    assert [one["id"] for one in events(read(answer))] == [written["id"]]
    assert events(read(await auditor.get(f"/fhir/AuditEvent?{of}&{not_found}"))) == []


async def test_s_108_r_balp_019_nobody_changes_or_deletes_an_event(
    clinic: InProcess, auditor: Caller, person: str
) -> None:
    [written, *_] = events(read(await auditor.get(f"/fhir/AuditEvent?patient=Patient/{person}")))
    everything = clinic.caller("system/*.cruds", "system/AuditEvent.cruds")
    place = f"/fhir/AuditEvent/{written['id']}"

    refused = [
        await everything.put(place, {**written, "outcomeDesc": "another"}),
        await everything.ask(
            "PATCH", place, b'[{"op":"remove","path":"/agent/0"}]', Content_Type="application/json-patch+json"
        ),
        await everything.delete(place),
        await everything.delete(f"/fhir/AuditEvent?patient=Patient/{person}"),
    ]

    assert [answer.status_code for answer in refused] == [405] * 4
    assert read(await auditor.get(place)) == written


async def test_r_balp_019_reading_the_log_takes_its_own_scope_and_is_recorded(
    clinic: InProcess, auditor: Caller, person: str
) -> None:
    address = f"/fhir/AuditEvent?patient=Patient/{person}"
    assert (await clinic.caller("system/*.cruds").get(address)).status_code == 403

    async with clinic.trail.recording() as recorded:
        await auditor.get(address)

    assert recorded.only["agent"][0]["who"]["identifier"]["value"] == "the-auditor"


async def test_r_balp_011_no_part_of_a_token_is_in_the_log(clinic: InProcess, person: str) -> None:
    caller = clinic.caller()
    token = caller.headers["Authorization"].removeprefix("Bearer ")

    async with clinic.trail.recording() as recorded:
        await caller.get(f"/fhir/Patient/{person}")
        await caller.get(f"/fhir/Patient?_id={person}&access_token={token}")

    written = str(recorded.events)
    assert not [part for part in (token, *token.split("."), token[-32:]) if part in written]


async def test_r_balp_016_a_consent_that_refuses_is_recorded_as_its_decision(clinic: InProcess) -> None:
    doctor = clinic.caller(fhir_user="Practitioner/refused")
    await doctor.store(patient("Refusing", id="refusing"))
    given = await doctor.store(consent("refusing"))
    photo = await doctor.store(media("refusing", jpeg()))
    refusal = await doctor.store(consent("refusing", kind="deny"))

    async with clinic.trail.recording() as recorded:
        answer = await doctor.get(f"/fhir/{photo['content']['url']}")

    assert answer.status_code == 403
    profile = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.AuthZconsent"
    assert recorded.only["meta"]["profile"] == [profile]
    assert recorded.only["outcome"] == "8"
    named = [one["what"].get("reference") for one in recorded.only["entity"]]
    assert named[:2] == ["Patient/refusing", f"Consent/{refusal['id']}/_history/1"]
    assert given["id"] not in str(recorded.only)
