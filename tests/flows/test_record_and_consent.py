"""All that lies in a patient's compartment passes the gate: what a consent takes out does not exist for the caller."""

import pytest

from fhir_server.consent.terms import ANONYMISATION, CHANNEL
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller(fhir_user="Practitioner/surgeon")


def observation(patient_id: str, **more: object) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Weight"},
        "subject": {"reference": f"Patient/{patient_id}"},
        **more,
    }


async def somebody(doctor: Caller) -> str:
    return str((await doctor.store(patient()))["id"])


async def all_ways(doctor: Caller, ann: str, seen: Json) -> list[int]:
    """How many of it each way shows."""
    path = f"/fhir/Observation/{seen['id']}"
    lists = [
        await doctor.get(f"/fhir/Observation?subject=Patient/{ann}&_total=accurate"),
        await doctor.get(f"{path}/_history"),
        await doctor.get(f"/fhir/Patient/{ann}/Observation"),
        await doctor.get(f"/fhir/Patient?_id={ann}&_revinclude=Observation:subject"),
    ]
    found = [
        sum(entry["resource"]["resourceType"] == "Observation" for entry in read(one).get("entry", [])) for one in lists
    ]
    reads = [await doctor.get(path), await doctor.get(f"{path}/_history/1")]
    return [*found, *(one.status_code for one in reads)]


async def test_r_pcf_012_what_a_consent_takes_out_is_nowhere(doctor: Caller) -> None:
    ann = await somebody(doctor)
    shown, hidden = await doctor.store(observation(ann)), await doctor.store(observation(ann))
    assert await all_ways(doctor, ann, hidden) == [2, 1, 2, 2, 200, 200]
    datum = {"meaning": "instance", "reference": {"reference": f"Observation/{hidden['id']}"}}
    exception = {"provision": [{"type": "deny", "data": [datum]}]}

    await doctor.store(consent(ann, "treatment", provision=exception))

    assert await all_ways(doctor, ann, hidden) == [1, 0, 1, 1, 404, 404]
    assert await all_ways(doctor, ann, shown) == [1, 1, 1, 1, 200, 200]
    total = read(await doctor.get(f"/fhir/Observation?subject=Patient/{ann}&_total=accurate"))["total"]
    assert total == 1


async def test_a_refusal_of_everything_hides_all_but_the_proof(clinic: InProcess, doctor: Caller) -> None:
    ann = await somebody(doctor)
    weight = await doctor.store(observation(ann))
    refusal = await doctor.store(consent(ann, "treatment", "deny"))

    assert (await doctor.get(f"/fhir/Patient/{ann}")).status_code == 404
    assert (await doctor.get(f"/fhir/Observation/{weight['id']}")).status_code == 404
    assert (await doctor.get(f"/fhir/Consent/{refusal['id']}")).status_code == 200
    own = clinic.caller("patient/*.rs", patient=ann, fhir_user=f"Patient/{ann}", role="patient")
    assert (await own.get(f"/fhir/Observation/{weight['id']}")).status_code == 200
    assert (await own.get(f"/fhir/Patient/{ann}")).status_code == 200


async def test_r_pcf_016_a_new_consent_takes_effect_on_tokens_that_are_out(doctor: Caller) -> None:
    ann = await somebody(doctor)
    weight = await doctor.store(observation(ann))
    assert (await doctor.get(f"/fhir/Observation/{weight['id']}")).status_code == 200

    refusal = consent(ann, "treatment", "deny", dateTime="2026-01-05")
    await doctor.store(refusal)
    assert (await doctor.get(f"/fhir/Observation/{weight['id']}")).status_code == 404

    await doctor.store(consent(ann, "treatment", dateTime="2026-01-06"))
    assert (await doctor.get(f"/fhir/Observation/{weight['id']}")).status_code == 200


async def test_s_39_a_withdrawn_treatment_consent_stops_photos_and_not_the_file(doctor: Caller) -> None:
    ann = await somebody(doctor)
    given = await doctor.store(consent(ann, "treatment"))
    await doctor.store(consent(ann))
    photo = await doctor.store(media(ann, jpeg()))
    weight = await doctor.store(observation(ann))

    await doctor.post(f"/fhir/Consent/{given['id']}/$withdraw")

    assert (await doctor.get(f"/fhir/Observation/{weight['id']}")).status_code == 200
    assert (await doctor.get(f"/fhir/{photo['content']['url']}")).status_code == 200
    refused = await doctor.post("/fhir/Media", media(ann, jpeg()))
    assert refused.status_code == 403
    assert "treatment" in read(refused)["issue"][0]["diagnostics"]


async def test_t99_a_photo_is_not_dated_before_its_consent(clinic: InProcess, doctor: Caller) -> None:
    ann = await somebody(doctor)
    await doctor.store(consent(ann, dateTime="2026-01-05T10:00:00Z"))
    before = await clinic.counts()

    refused = await doctor.post("/fhir/Media", media(ann, jpeg(), createdDateTime="2026-01-05T09:59:59Z"))

    assert refused.status_code == 409
    assert await clinic.counts() == before
    await doctor.store(media(ann, jpeg(), createdDateTime="2026-01-05T10:00:01Z"))


async def test_s78_a_consent_that_asks_for_a_masked_rendition_gives_no_original(doctor: Caller) -> None:
    ann = await somebody(doctor)
    masked = {"url": ANONYMISATION, "valueCode": "eyes-masked"}
    await doctor.store(consent(ann, extension=[masked]))

    assert (await doctor.post("/fhir/Media", media(ann, jpeg()))).status_code == 403
    await doctor.store(media(ann, jpeg(), extension=[masked]))


async def test_s76_a_consent_for_one_channel_is_none_where_no_channel_is_named(doctor: Caller) -> None:
    ann = await somebody(doctor)
    await doctor.store(consent(ann, extension=[{"url": CHANNEL, "valueCode": "print"}]))

    assert (await doctor.post("/fhir/Media", media(ann, jpeg()))).status_code == 403
