"""Whether a treatment keeps the rules of the bodies of those who gave it, over HTTP; and the door for their numbers."""

from datetime import timedelta
from typing import Any

import pytest

from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.flows.signings import CARE, signing
from tests.flows.treatments import Treated, treated
from tests.people import encounter, staff
from tests.samples import patient
from tests.unit.professions.people import member, practitioner, qualification

pytestmark = pytest.mark.anyio
TOXIN = {"contained": [{"resourceType": "Medication", "id": "it"}], "medicationReference": {"reference": "#it"}}


@pytest.fixture(scope="module")
def office(clinic: InProcess) -> Caller:
    return clinic.caller(client="office")


async def on_record(office: Caller, resource: Json) -> str:
    return f"{resource['resourceType']}/{(await office.store(resource))['id']}"


def by(*people: str) -> dict[str, Any]:
    return {"performer": [{"actor": {"reference": one}} for one in people]}


async def given(office: Caller, done: Treated, prescriber: str, **more: Any) -> str:
    """What was given, prescribed a minute before."""
    subject = {"subject": {"reference": f"Patient/{done.patient}"}, **TOXIN}
    asked = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "authoredOn": done.at(minutes=-1),
    }
    request = await on_record(office, {**asked, **subject, "requester": {"reference": prescriber}, **more})
    part = {"partOf": [{"reference": done.path.removeprefix("/fhir/")}], "effectiveDateTime": done.at()}
    dose = {"resourceType": "MedicationAdministration", "status": "completed", "request": {"reference": request}}
    await office.store({**dose, **subject, **part})
    return request


async def checked(caller: Caller, done: Treated) -> Json:
    """`result`, `bodies`, `unjudged`, the `outcome`, and each rule by its id."""
    answer = await caller.get(f"{done.path}/$professional-check")
    assert answer.status_code == 200, answer.text
    found: Json = {"unjudged": [], "bodies": set()}
    for one in read(answer)["parameter"]:
        parts = {part["name"]: next(v for n, v in part.items() if n != "name") for part in one.get("part", [])}
        if one["name"] == "rule":
            found[parts["rule"]] = parts
        elif one["name"] == "body":
            found["bodies"].add((parts["practitioner"]["reference"], parts["code"]))
        elif one["name"] == "unjudged":
            found["unjudged"].append(one["valueString"])
        else:
            found[one["name"]] = one.get("valueBoolean", one.get("resource"))
    return found


async def test_t_7_a_nurse_who_met_the_patient_before_prescribing_keeps_the_rules(
    clinic: InProcess, office: Caller
) -> None:
    nurse = await on_record(office, member("NMC"))
    note = [
        {"text": "Even.", "authorReference": {"reference": nurse}, "time": instant(clinic.clinic.surface.clock.now())}
    ]
    done = await treated(clinic, office, **by(nurse), note=note)
    met = encounter(done.patient, nurse, "finished", period={"start": done.at(hours=-1)})
    visit = await on_record(office, met)
    await given(office, done, nurse)

    found = await checked(office, done)

    assert (found["result"], found["unjudged"], found["bodies"]) == (True, [], {(nurse, "NMC")})
    assert found["nmc-examined"]["evidence"] == {"reference": visit}
    assert {one["severity"] for one in found["outcome"]["issue"]} == {"information"}


@pytest.mark.parametrize(
    "more",
    [
        {"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"}},
        {"class": {"system": "urn:else", "code": "AMB"}},
        {"status": "cancelled"},
        {"period": {"start": "2099-01-01"}},
        {"period": None},
        {"participant": [{"individual": {"reference": "Practitioner/other"}}]},
    ],
    ids=["by telephone", "of an unknown class", "cancelled", "later", "without a time", "with somebody else"],
)
async def test_t_7_a_meeting_counts_in_person_before_and_with_the_prescriber(
    clinic: InProcess, office: Caller, more: dict[str, Any]
) -> None:
    nurse = await on_record(office, member("NMC"))
    done = await treated(clinic, office, **by(nurse))
    visit = encounter(done.patient, nurse, "finished", period={"start": done.at(hours=-1)}) | more
    await office.store({name: value for name, value in visit.items() if value is not None})
    request = await given(office, done, nurse)

    found = await checked(office, done)

    assert found["result"] is False
    assert (found["nmc-examined"]["met"], found["nmc-examined"]["severity"]) == (False, "error")
    assert request in found["nmc-examined"]["missing"]
    assert "2025" in found["nmc-examined"]["clause"]


async def test_t_5_the_doctor_who_treats_asked_for_the_consent(clinic: InProcess, office: Caller) -> None:
    doctor = await on_record(office, member("GMC"))
    done = await treated(clinic, office, agreed=False, photographed=False, performedDateTime=None, **by(doctor))
    signed_by = {"collector": {"valueReference": {"reference": doctor}}}
    now = clinic.clinic.surface.clock.now()
    assert (await office.post("/fhir/Consent/$sign", signing(done.patient, now, CARE, changed=signed_by))).is_success
    later = clinic.clinic.surface.clock.now()
    period = {"performedPeriod": {"start": instant(later + timedelta(seconds=1))}}
    await office.put(done.path, {**done.procedure, **period})

    found = await checked(office, done)

    assert found["gmc-own-consent"]["met"] is True
    assert found["gmc-own-consent"]["evidence"]["reference"].startswith("Consent/")
    assert found["gmc-adult"]["missing"].endswith("not on record.")


async def test_t_6_rules_are_of_the_body_that_a_qualification_names_and_of_no_other(
    clinic: InProcess, office: Caller
) -> None:
    dentist = await on_record(office, member("GDC"))
    role = {"resourceType": "PractitionerRole", "practitioner": {"reference": dentist}}
    done = await treated(clinic, office, **by(await on_record(office, role)))

    found = await checked(office, done)

    assert found["bodies"] == {(dentist, "GDC")}
    assert {one for one in found if "-" in one} == {"gdc-registered", "gdc-consent", "gdc-record", "gdc-recordings"}
    assert (found["gdc-record"]["met"], found["result"]) == (False, True)


async def test_t_28_who_cannot_be_judged_is_named_and_not_guessed_at(clinic: InProcess, office: Caller) -> None:
    healer = await on_record(office, practitioner({"code": {"text": "Healer"}}))
    pharmacist = await on_record(office, practitioner(qualification("GPhC")))
    nobody = await treated(clinic, office, performer=None)
    done = await treated(
        clinic, office, performer=[{"actor": {"display": "Dr X"}}, *by(healer, pharmacist)["performer"]]
    )
    gone = await treated(clinic, office, **by("Practitioner/nowhere", "Patient/nowhere"))
    empty = await on_record(office, {"resourceType": "PractitionerRole"})
    roleless = await treated(clinic, office, **by(empty))
    part = {"partOf": [{"reference": done.path.removeprefix("/fhir/")}], "effectiveDateTime": done.at()}
    dose = {"resourceType": "MedicationAdministration", "status": "completed", **TOXIN, **part}
    await office.store({**dose, "subject": {"reference": f"Patient/{done.patient}"}})

    found, unsaid, missing, bare = [await checked(office, one) for one in (done, nobody, gone, roleless)]

    assert [one.partition(" ")[0] for one in found["unjudged"]] == ["Somebody", healer, pharmacist, "No"]
    assert "rules are not here" in found["unjudged"][2]
    assert unsaid["unjudged"] == ["The Procedure does not say who treated."]
    assert len(missing["unjudged"]) == 2
    assert bare["unjudged"] == [f"{empty} is no practitioner who is on record here and shown to you."]
    assert (found["result"], found["outcome"]["issue"][0]["code"]) == (True, "incomplete")


async def test_the_prescriber_is_judged_beside_whoever_treats(clinic: InProcess, office: Caller) -> None:
    nurse, doctor = await on_record(office, member("NMC")), await on_record(office, member("GMC"))
    done = await treated(clinic, office, **by(nurse), encounter={"reference": "Encounter/visit"})
    await given(office, done, doctor, encounter={"reference": "Encounter/visit"})
    await given(office, done, doctor, status="entered-in-error")

    found = await checked(office, done)

    assert found["bodies"] == {(nurse, "NMC"), (doctor, "GMC")}
    assert found["gmc-examined"]["practitioner"] == {"reference": doctor}
    assert "gmc-own-consent" not in found
    assert "nmc-examined" not in found


async def test_notes_are_read_wherever_they_stand(clinic: InProcess, office: Caller) -> None:
    nurse = await on_record(office, member("NMC"))
    visit: dict[str, Any] = {"encounter": {"reference": "Encounter/noted"}}
    done = await treated(clinic, office, **by(nurse), **visit, note=[{"text": "Even."}])
    thought = {"resourceType": "ClinicalImpression", "status": "completed", "date": done.at(), **visit}
    told = {**thought, "subject": {"reference": f"Patient/{done.patient}"}, "summary": "Even."}
    before = await checked(office, done)
    note = await on_record(office, {**told, "assessor": {"reference": nurse}})

    after = await checked(office, done)

    assert before["nmc-record"]["met"] is False
    assert after["nmc-record"]["evidence"] == {"reference": note}


async def test_the_operation_says_what_it_needs(clinic: InProcess, office: Caller) -> None:
    undated = await treated(clinic, office, performedDateTime=None)
    plain = await treated(clinic, office, usedReference=None, performer=None)

    assert (await office.get(f"{undated.path}/$professional-check")).status_code == 422
    assert (await office.get(f"{undated.path}/$professional-check?body=GMC")).status_code == 400
    assert (await office.get("/fhir/Procedure/nowhere/$professional-check")).status_code == 404
    assert (await staff(clinic, "marketing").get(f"{plain.path}/$professional-check")).status_code == 403


async def test_t_28_a_number_of_the_wrong_form_is_refused_at_the_door(office: Caller) -> None:
    wrong = {**member("NMC"), "identifier": [{"system": "https://fhir.hl7.org.uk/Id/nmc-number", "value": "soon"}]}

    refused = await office.post("/fhir/Practitioner", wrong)

    assert refused.status_code == 422
    assert "nmc-number" in refused.text
    assert "soon" not in read(refused)["issue"][0]["diagnostics"]
    assert (await office.post("/fhir/Patient", patient())).status_code == 201
