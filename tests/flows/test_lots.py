"""A lot is followed to everybody who was given of it, and back; a recall drafts what they are told."""

from typing import Any

import pytest

from fhir_server.injectables import gathering, lots
from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.people import care_team, staff
from tests.samples import consent, patient

pytestmark = pytest.mark.anyio

WHEN = "2026-02-03T10:00:00+01:00"


@pytest.fixture(scope="module")
def office(clinic: InProcess) -> Caller:
    return clinic.caller(client="office")


def lot() -> str:
    return f"L-{random_id()}"


def toxin(number: str, **more: Any) -> Json:
    batch = {"lotNumber": number, "expirationDate": "2027-09-30"}
    return {"resourceType": "Medication", "code": {"text": "Calmalia"}, "batch": batch, **more}


def filler(number: str, **more: Any) -> Json:
    name = {"name": "Hyalessence", "type": "user-friendly-name"}
    return {"resourceType": "Device", "lotNumber": number, "deviceName": [name], "manufacturer": "Imaginaires", **more}


def given(patient_id: str, status: str = "completed", **more: Any) -> Json:
    subject = {"reference": f"Patient/{patient_id}"}
    what = {"resourceType": "MedicationAdministration", "status": status, "subject": subject}
    return {**what, "effectiveDateTime": WHEN, **more}


def treated(patient_id: str, **more: Any) -> Json:
    subject = {"reference": f"Patient/{patient_id}"}
    done = {"resourceType": "Procedure", "status": "completed", "subject": subject, "performedDateTime": WHEN}
    return {**done, "performer": [{"actor": {"reference": "Practitioner/injector"}}], **more}


def within(product: Json) -> dict[str, Any]:
    """As contained, and the reference to it."""
    return {"contained": [{**product, "id": "it"}], "medicationReference": {"reference": "#it"}}


def to(stored: Json) -> Json:
    return {"reference": f"{stored['resourceType']}/{stored['id']}"}


async def somebody(office: Caller) -> str:
    return str((await office.store(patient()))["id"])


async def traced(caller: Caller, number: str, product: str = "") -> Json:
    asked = f"/fhir/Medication/$lot-patients?lot={number}" + (f"&product={product}" if product else "")
    return told(read(await caller.get(asked)))


def told(parameters: Json) -> Json:
    """Name -> value, and of each use its parts likewise."""
    found: Json = {"given": []}
    for one in parameters["parameter"]:
        if one["name"] == "given":
            found["given"].append(one["part"])
        else:
            found.setdefault(one["name"], []).append(next(value for name, value in one.items() if name != "name"))
    return found


def people(answer: Json) -> set[str]:
    parts = (part for use in answer["given"] for part in use if part["name"] == "patient")
    return {part["valueReference"]["reference"].removeprefix("Patient/") for part in parts}


async def recalled(caller: Caller, **said: str) -> Json:
    parameters = [{"name": name, "valueString": value} for name, value in said.items()]
    answer = await caller.post("/fhir/Medication/$lot-recall", {"resourceType": "Parameters", "parameter": parameters})
    assert answer.status_code == 200, answer.text
    return told(read(answer))


async def test_s_19_a_lot_leads_to_every_patient_however_the_product_is_named(office: Caller) -> None:
    number = lot()
    people_of_it = [await somebody(office) for _ in range(6)]
    vial, syringe = await office.store(toxin(number)), await office.store(filler(number))
    first, second, third, fourth, fifth, sixth = people_of_it
    await office.store(given(first, medicationReference=to(vial)))
    await office.store(given(second, **within(toxin(number.upper()))))
    await office.store(treated(third, usedReference=[to(syringe)]))
    await office.store(treated(fourth, focalDevice=[{"manipulated": to(syringe)}]))
    await office.store(treated(fifth, contained=[{**filler(number), "id": "it"}], usedReference=[{"reference": "#it"}]))
    await office.store(filler(number, patient={"reference": f"Patient/{sixth}"}))
    group = await office.store(given("", **within(toxin(number)), subject={"reference": "Group/trial"}))

    answer = await traced(office, number)

    assert people(answer) == set(people_of_it)
    assert f"MedicationAdministration/{group['id']}" in str(answer["given"])
    assert (answer["complete"], answer["withheld"], answer["patients"]) == ([True], [0], [6])


async def test_s_19_what_was_not_given_or_is_of_another_lot_is_not_in_it(office: Caller) -> None:
    number, one = lot(), await somebody(office)
    vial = await office.store(toxin(number))
    await office.store(given(one, "not-done", medicationReference=to(vial)))
    await office.store(given(one, "entered-in-error", **within(toxin(number))))
    await office.store(given(one, **within(toxin(f"{number}9"))))

    answer = await traced(office, number)

    assert (answer["given"], answer["patients"]) == ([], [0])


async def test_s_19_a_patient_leads_to_their_lots_with_product_maker_day_place_and_hand(office: Caller) -> None:
    one, mine, contained = await somebody(office), lot(), lot()
    room = await office.store({"resourceType": "Location", "name": "Room 1"})
    syringe = await office.store(filler(mine, expirationDate="2028-01-31"))
    await office.store(treated(one, usedReference=[to(syringe)], location=to(room)))
    await office.store(given(one, **within(toxin(contained))))
    await office.store(given(await somebody(office), **within(toxin(lot()))))

    answer = told(read(await office.get(f"/fhir/Patient/{one}/$lots")))

    products = [part["part"] for use in answer["given"] for part in use if part["name"] == "product"]
    said = [{each["name"]: each["valueString"] for each in product} for product in products]
    assert {each["lot"] for each in said} == {mine, contained}
    [whole] = [each for each in said if each["lot"] == mine]
    assert (whole["name"], whole["manufacturer"], whole["expires"]) == ("Hyalessence", "Imaginaires", "2028-01-31")
    [use] = [use for use in answer["given"] if any(part["name"] == "location" for part in use)]
    by_name = {part["name"]: part for part in use}
    assert by_name["when"]["valueDateTime"] == WHEN
    assert by_name["performer"]["valueReference"]["reference"] == "Practitioner/injector"


async def test_of_two_products_with_one_lot_the_one_that_is_named_is_followed(office: Caller) -> None:
    number, first, second, third = lot(), await somebody(office), await somebody(office), await somebody(office)
    known = {"udiCarrier": [{"deviceIdentifier": "03769999000015"}]}
    other = {"udiCarrier": [{"deviceIdentifier": "03769999000022"}]}
    for person, more in ((first, known), (second, other), (third, {})):
        await office.store(treated(person, usedReference=[to(await office.store(filler(number, **more)))]))

    assert people(await traced(office, number, "03769999000015")) == {first, third}


async def test_what_a_consent_keeps_back_is_counted_and_not_told(office: Caller) -> None:
    number, one = lot(), await somebody(office)
    await office.store(given(one, **within(toxin(number))))
    await office.store(consent(one, "treatment", "deny"))

    answer = await traced(office, number)

    assert (people(answer), answer["complete"], answer["withheld"]) == (set(), [False], [1])


async def test_a_practitioner_finds_those_who_are_treated_and_is_told_that_it_is_not_all(
    clinic: InProcess, office: Caller
) -> None:
    doctor, number = f"Practitioner/{random_id()}", lot()
    mine, another = await somebody(office), await somebody(office)
    await office.store(care_team(mine, doctor))
    for person in (mine, another):
        await office.store(given(person, **within(toxin(number))))
    caller = staff(clinic, "practitioner", person=doctor)

    answer = await traced(caller, number)
    made = await recalled(caller, lot=number)

    assert (people(answer), answer["complete"], answer["withheld"]) == ({mine}, [False], [0])
    assert len(made["notice"]) == 1
    assert (await caller.get(f"/fhir/Patient/{another}/$lots")).status_code == 404
    assert (await staff(clinic, "receptionist").get(f"/fhir/Medication/$lot-patients?lot={number}")).status_code == 403


async def test_whoever_follows_a_lot_is_in_the_log_of_each_patient(clinic: InProcess, office: Caller) -> None:
    number, one = lot(), await somebody(office)
    await office.store(given(one, **within(toxin(number))))

    async with clinic.trail.recording() as recorded:
        await office.get(f"/fhir/Medication/$lot-patients?lot={number}")

    named = {entity["what"]["reference"] for entity in recorded.only["entity"] if "reference" in entity.get("what", {})}
    assert f"Patient/{one}" in named


async def test_m_10_a_recall_drafts_one_notice_for_each_patient_and_sends_nothing(office: Caller) -> None:
    number, twice, once = lot(), await somebody(office), await somebody(office)
    vial = await office.store(toxin(number))
    for person in (twice, twice, once):
        await office.store(given(person, medicationReference=to(vial)))

    made = await recalled(office, lot=number, language="fr", reason="Stérilité non garantie")
    drafts = [read(await office.get(f"/fhir/{one['reference']}")) for one in made["notice"]]
    task = read(await office.get(f"/fhir/{made['task'][0]['reference']}"))

    assert {draft["subject"]["reference"] for draft in drafts} == {f"Patient/{twice}", f"Patient/{once}"}
    assert {draft["status"] for draft in drafts} == {"preparation"}
    assert all("sent" not in draft for draft in drafts)
    [of_twice] = [draft for draft in drafts if draft["subject"]["reference"] == f"Patient/{twice}"]
    assert len(of_twice["about"]) == 2
    words = of_twice["payload"][0]["contentString"]
    assert all(said in words for said in ("Calmalia", number, "2026-02-03", "rappel"))
    assert (task["status"], task["reasonCode"]["text"]) == ("requested", "Stérilité non garantie")
    assert twice not in str(task)


async def test_m_10_a_recall_that_is_repeated_drafts_only_what_is_missing(office: Caller) -> None:
    number, first, second = f"{lot()}|$,", await somebody(office), await somebody(office)
    await office.store(given(first, **within(toxin(number))))
    before = await recalled(office, lot=number)
    await office.store(given(second, **within(toxin(number))))

    after = await recalled(office, lot=number, text="Please call us.")

    assert after["task"] == before["task"]
    assert len(after["notice"]) == 2
    assert before["notice"][0] in after["notice"]
    [new] = [one for one in after["notice"] if one not in before["notice"]]
    assert read(await office.get(f"/fhir/{new['reference']}"))["payload"] == [{"contentString": "Please call us."}]


async def test_a_recall_of_what_nobody_was_given_leaves_a_task_that_says_so(office: Caller) -> None:
    made = await recalled(office, lot=lot())

    assert ("notice" in made, made["patients"]) == (False, [0])


async def test_a_lot_is_followed_whole_or_not_at_all(office: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    number = lot()
    for _ in range(2):
        await office.store(given(await somebody(office), **within(toxin(number))))

    monkeypatch.setattr(gathering, "_BATCH", 1)
    by_pages = await traced(office, number)
    monkeypatch.setattr(gathering, "MOST", 0)
    too_many = await office.get(f"/fhir/Medication/$lot-patients?lot={number}")
    monkeypatch.setattr(lots, "SECONDS", 0.0)
    too_long = await office.get(f"/fhir/Medication/$lot-patients?lot={number}")

    assert by_pages["patients"] == [2]
    assert [(one.status_code, "too-costly" in one.text) for one in (too_many, too_long)] == [(400, True)] * 2


async def test_a_product_that_is_gone_is_not_told(office: Caller) -> None:
    one = await somebody(office)
    syringe = await office.store(filler(lot()))
    await office.store(treated(one, usedReference=[to(syringe)]))
    await office.delete(f"/fhir/Device/{syringe['id']}")

    assert told(read(await office.get(f"/fhir/Patient/{one}/$lots")))["given"] == []


@pytest.mark.parametrize("asked", ["", "?lot=", "?lot=a&lot=b", "?lot=a&when=now", f"?lot={'a' * 101}"])
async def test_a_lot_is_asked_for_in_one_way(office: Caller, asked: str) -> None:
    assert (await office.get(f"/fhir/Medication/$lot-patients{asked}")).status_code == 400


@pytest.mark.parametrize("more", [{"language": "tlh"}, {"text": "a" * 4_001}])
async def test_a_notice_is_short_and_in_a_language_that_we_have(office: Caller, more: dict[str, str]) -> None:
    parameters = [{"name": name, "valueString": value} for name, value in {"lot": lot(), **more}.items()]

    answer = await office.post("/fhir/Medication/$lot-recall", {"resourceType": "Parameters", "parameter": parameters})

    assert answer.status_code == 422


async def test_a_recall_that_may_not_write_says_so(clinic: InProcess, office: Caller) -> None:
    number = lot()
    reader = clinic.caller("system/*.rs")

    answer = await reader.post(
        "/fhir/Medication/$lot-recall",
        {"resourceType": "Parameters", "parameter": [{"name": "lot", "valueString": number}]},
    )

    assert answer.status_code == 403


async def test_m10_a_clinical_lead_recalls_a_lot_from_all_patients_and_sees_what_a_notice_needs(
    clinic: InProcess, office: Caller
) -> None:
    number, lead = lot(), staff(clinic, "clinical-lead")
    product = await office.store(filler(number))
    everybody = [await somebody(office) for _ in range(2)]
    for one in everybody:
        told_nobody = {"note": [{"text": "anxious"}], "reasonCode": [{"text": "asymmetry"}]}
        await office.store(treated(one, usedReference=[to(product)], **told_nobody))

    asked = {"resourceType": "Parameters", "parameter": [{"name": "lot", "valueString": number}]}
    answer = await lead.post("/fhir/Medication/$lot-recall", asked)

    assert answer.status_code == 200, answer.text
    said = told(read(answer))
    assert (said["complete"], said["patients"]) == ([True], [2])
    assert people(said) == set(everybody)
    assert "anxious" not in answer.text
    assert "asymmetry" not in answer.text
    for notice in said["notice"]:
        found = await lead.get(f"/fhir/{notice['reference']}")
        assert read(found)["status"] == "preparation"
    for search in (f"Procedure?used={to(product)['reference']}", f"Device?lot-number={number}", "Patient?name=Sample"):
        listed = await lead.get(f"/fhir/{search}")
        assert listed.status_code == 403 or "entry" not in read(listed) or "subject" not in listed.text
    assert (await lead.get(f"/fhir/Medication/$lot-patients?lot={number}")).status_code == 403
    other = await office.store(
        {"resourceType": "Communication", "status": "completed", "subject": {"reference": f"Patient/{everybody[0]}"}}
    )
    assert (await lead.get(f"/fhir/Communication/{other['id']}")).status_code == 404
