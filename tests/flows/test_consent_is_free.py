"""Given freely, taken back as easily, and on record for as long as it was there."""

import pytest

from tests.clinics import Caller, InProcess, read
from tests.flows.signings import signing
from tests.people import appointment
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def desk(clinic: InProcess) -> Caller:
    return clinic.caller(fhir_user="Practitioner/desk")


async def somebody(desk: Caller) -> str:
    return str((await desk.store(patient(birthDate="1985-04-01")))["id"])


async def test_s_35_t_106_who_refuses_marketing_is_treated_and_photographed_for_care(
    clinic: InProcess, desk: Caller
) -> None:
    ann, now = await somebody(desk), clinic.clinic.surface.clock.now()
    for purpose in ("photo-marketing", "photo-social", "marketing", "communications"):
        await desk.store(consent(ann, purpose, "deny"))

    signed = await desk.post("/fhir/Consent/$sign", signing(ann, now, {"treatment": True, "care-photography": True}))

    assert signed.status_code == 201, signed.text
    assert (await desk.post("/fhir/Appointment", appointment(ann, "Practitioner/desk", now))).status_code == 201
    assert (await desk.post("/fhir/Media", media(ann, jpeg()))).status_code == 201


async def test_s_43_t_95_t_96_one_call_gives_and_one_call_without_a_reason_takes_back(
    clinic: InProcess, desk: Caller
) -> None:
    ann, now = await somebody(desk), clinic.clinic.surface.clock.now()
    scopes = ("patient/Consent.cruds", "patient/Media.rs")
    own = clinic.caller(*scopes, patient=ann, fhir_user=f"Patient/{ann}", role="patient")
    given = await own.post("/fhir/Consent/$sign", signing(ann, now, {"treatment": True, "care-photography": True}))
    photography = next(
        entry["resource"]
        for entry in read(given)["entry"]
        if entry["resource"].get("provision", {}).get("purpose", [{}])[0].get("code") == "care-photography"
    )

    withdrawn = await own.post(f"/fhir/Consent/{photography['id']}/$withdraw")

    assert (withdrawn.status_code, read(withdrawn)["status"]) == (200, "inactive")


async def test_t_94_every_version_of_a_consent_stays_as_it_was(desk: Caller) -> None:
    ann = await somebody(desk)
    given = await desk.store(consent(ann))
    path = f"/fhir/Consent/{given['id']}"

    await desk.post(f"{path}/$withdraw")

    assert read(await desk.get(f"{path}/_history/1")) == given
    assert read(await desk.get(f"{path}/_history"))["total"] == 2
    assert (await desk.put(path, given)).status_code == 422, "what was withdrawn does not come back"


async def test_t_105_the_policy_that_a_consent_names_can_be_read(clinic: InProcess, desk: Caller) -> None:
    ann, now = await somebody(desk), clinic.clinic.surface.clock.now()
    given = await desk.post("/fhir/Consent/$sign", signing(ann, now, {"treatment": True, "care-photography": True}))
    found = next(one["resource"] for one in read(given)["entry"] if one["resource"]["resourceType"] == "Consent")

    notice = await clinic.stranger.get(found["policy"][0]["uri"].removeprefix(clinic.clinic.settings.base_url))

    assert notice.status_code == 200
    assert "photograph" in notice.text.casefold()
