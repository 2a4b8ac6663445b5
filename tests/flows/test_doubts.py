"""What is stored though something of it lacks: told to who asks, at the write and later."""

import base64

import pytest

from fhir_server.consent.paper import ORIGINAL
from fhir_server.engine.classification import RECEIPT_SYSTEM, SIGNED_FORM
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import PHOTO_POLICY, TIMEPOINT
from tests.clinics import Caller, InProcess, read
from tests.flows.withdrawals import until_done
from tests.samples import consent, jpeg, media, patient, published

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def back_end(clinic: InProcess) -> Caller:
    return clinic.caller("system/*.cruds", client="archive")


def severities(outcome: Json) -> list[str]:
    return [one["severity"] for one in outcome["issue"]]


async def somebody(back_end: Caller) -> str:
    ann = str((await back_end.store(patient()))["id"])
    await back_end.store(consent(ann))
    return ann


async def test_s_87_t_2_what_lacks_of_the_policy_is_told_with_the_write_in_a_bundle_and_later(back_end: Caller) -> None:
    photo = media(await somebody(back_end), jpeg())
    entry = {"resource": photo, "request": {"method": "POST", "url": "Media"}}
    prefer = {"Prefer": "return=OperationOutcome"}

    written = await back_end.post("/fhir/Media", photo, **prefer)
    bundle = await back_end.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}, **prefer)
    stored = written.headers["location"].split("/_history/")[0].rpartition("/fhir")[2]
    later = await back_end.get(f"/fhir{stored}/$validate")

    assert written.status_code == 201
    assert severities(read(written))[0] == "information"
    assert set(severities(read(written))[1:]) == {"warning"}
    assert read(bundle)["entry"][0]["response"]["outcome"] == read(written)
    told = [one["diagnostics"] for one in read(written)["issue"][1:]]
    assert [one["diagnostics"] for one in read(later)["issue"]][-len(told) :] == told


async def test_t_2_t_100_photos_are_found_by_the_version_of_the_policy_that_they_name(back_end: Caller) -> None:
    ann = await somebody(back_end)
    named = {"url": PHOTO_POLICY, "valueCanonical": "urn:aesthetic-fhir-server:photo-policy|1"}
    stored = await back_end.store(media(ann, jpeg(), extension=[named]))
    await back_end.store(media(ann, jpeg()))

    found = read(await back_end.get(f"/fhir/Media?subject=Patient/{ann}&photo-policy={named['valueCanonical']}"))

    assert [one["resource"]["id"] for one in found["entry"]] == [stored["id"]]


async def test_t_13_a_photo_of_before_that_was_taken_after_is_refused(back_end: Caller) -> None:
    ann = await somebody(back_end)
    subject = {"reference": f"Patient/{ann}"}
    done: Json = {"resourceType": "Procedure", "status": "completed", "subject": subject}
    treated = await back_end.store({**done, "performedDateTime": "2026-01-10T10:00:00Z"})
    said = {
        "partOf": [{"reference": f"Procedure/{treated['id']}"}],
        "extension": [{"url": TIMEPOINT, "valueCodeableConcept": {"coding": [{"code": "before"}]}}],
    }

    late = await back_end.post("/fhir/Media", media(ann, jpeg(), **said, createdDateTime="2026-01-10T10:30:00Z"))
    early = await back_end.post("/fhir/Media", media(ann, jpeg(), **said, createdDateTime="2026-01-10T09:30:00Z"))

    assert (late.status_code, early.status_code) == (422, 201)
    assert read(late)["issue"][0]["expression"] == ["Media.created"]


async def test_t_69_a_scan_is_kept_and_says_where_the_paper_lies(back_end: Caller) -> None:
    ann = await somebody(back_end)
    place = await back_end.store({"resourceType": "Location", "name": "Archive 2"})
    scan: Json = {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": RECEIPT_SYSTEM, "code": SIGNED_FORM}]},
        "subject": {"reference": f"Patient/{ann}"},
        "content": [{"attachment": {"contentType": "image/jpeg", "data": base64.b64encode(jpeg()).decode()}}],
    }
    original = {"url": ORIGINAL, "valueReference": {"reference": f"Location/{place['id']}"}}

    stored = await back_end.store({**scan, "extension": [original]})
    bare = await back_end.post("/fhir/DocumentReference", scan, Prefer="return=OperationOutcome")

    shown = read(await back_end.get(f"/fhir/DocumentReference/{stored['id']}"))
    assert shown["extension"] == [original]
    assert severities(read(bare)) == ["information", "warning"]
    wrong = {**scan, "extension": [{**original, "valueReference": {"reference": f"Patient/{ann}"}}]}
    assert (await back_end.post("/fhir/DocumentReference", wrong)).status_code == 422


async def raised(back_end: Caller, ann: str) -> dict[str, str]:
    found = read(await back_end.get(f"/fhir/Flag?patient={ann}")).get("entry", [])
    return {one["resource"]["code"]["coding"][0]["code"]: one["resource"]["status"] for one in found}


async def test_t_82_s_73_answers_that_the_clinic_should_know_of_are_flagged_while_they_stand(
    clinic: InProcess, back_end: Caller
) -> None:
    ann = str((await back_end.store(patient()))["id"])
    at = instant(clinic.clinic.surface.clock.now())
    await back_end.store(consent(ann, kind="deny"))
    await back_end.store(consent(ann, "photo-marketing", **published(), dateTime=at))
    await until_done(clinic)

    first = await raised(back_end, ann)
    await back_end.store(consent(ann, dateTime=at))
    await until_done(clinic)

    assert first == {"care-photographs-refused": "active", "published-not-documented": "active"}
    assert await raised(back_end, ann) == dict.fromkeys(first, "inactive")
