"""Who could see this photo on a date, and why; and from when to when consent was there."""

from datetime import datetime, timedelta

import pytest

from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient, published

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def auditor(clinic: InProcess) -> Caller:
    return clinic.caller()


def now(clinic: InProcess) -> datetime:
    return clinic.clinic.surface.clock.now()


def parts(parameter: Json) -> dict[str, object]:
    return {part["name"]: value for part in parameter["part"] for name, value in part.items() if name != "name"}


async def decided(auditor: Caller, query: str) -> dict[object, dict[str, object]]:
    answer = await auditor.get(f"/fhir/Consent/$decide?{query}")
    assert answer.status_code == 200, answer.text
    return {found["who"]: found for found in map(parts, read(answer)["parameter"])}


async def case(clinic: InProcess, auditor: Caller) -> tuple[str, Json, Json, str]:
    ann = (await auditor.store(patient()))["id"]
    given = await auditor.store(consent(ann, dateTime=instant(now(clinic))))
    photo = await auditor.store(media(ann, jpeg()))
    return ann, given, photo, photo["meta"]["lastUpdated"]


async def test_m6_the_time_machine_says_who_could_see_a_photo_on_a_date_and_why(
    clinic: InProcess, auditor: Caller
) -> None:
    _, given, photo, then = await case(clinic, auditor)
    await auditor.post(f"/fhir/Consent/{given['id']}/$withdraw")
    about = f"resource=Media/{photo['id']}"

    before = await decided(auditor, f"{about}&at={then}&actor=Practitioner/surgeon")
    after = await decided(auditor, about)

    assert set(before) == {"practitioner", "nurse", "clinical-lead", "patient", "Practitioner/surgeon"}
    assert {(one["decision"], one["basis"]) for one in before.values()} == {
        ("permit", f"Consent/{given['id']}/_history/1")
    }
    assert {(one["decision"], one["reason"]) for one in after.values()} == {("deny", "withdrawn")}
    assert {one["decision"] for one in (await decided(auditor, f"{about}&purpose=research&at={then}")).values()} == {
        "deny"
    }
    assert (await auditor.get(f"/fhir/Consent/$decide?{about}&at=2020-01-01")).status_code == 404


async def test_a_refusal_is_named(auditor: Caller) -> None:
    ann = (await auditor.store(patient()))["id"]
    refusal = await auditor.store(consent(ann, kind="deny"))

    said = await decided(auditor, f"patient={ann}&purpose=care-photography&channel=website")

    assert said["nurse"]["consent"] == {"reference": f"Consent/{refusal['id']}/_history/1"}
    assert said["nurse"]["reason"] == "refused"


async def test_a_publication_without_a_channel_is_decided_as_when_photos_are_listed_for_it(auditor: Caller) -> None:
    ann = (await auditor.store(patient()))["id"]
    given = await auditor.store(consent(ann, "photo-marketing", **published("website")))

    listed = await decided(auditor, f"patient={ann}&purpose=photo-marketing")
    elsewhere = await decided(auditor, f"patient={ann}&purpose=photo-marketing&channel=print")

    assert listed["nurse"]["basis"] == f"Consent/{given['id']}/_history/1"
    assert elsewhere["nurse"]["reason"] == "other-channel"


async def test_what_is_kept_as_proof_is_explained_as_it_is_shown(auditor: Caller) -> None:
    ann = (await auditor.store(patient()))["id"]
    refusal = await auditor.store(consent(ann, "treatment", kind="deny"))

    said = await decided(auditor, f"resource=Consent/{refusal['id']}")

    assert (await auditor.get(f"/fhir/Consent/{refusal['id']}")).status_code == 200
    assert said["nurse"]["basis"] == "obligation:gdpr-5-2"
    assert (await decided(auditor, f"patient={ann}&purpose=PATADMIN"))["nurse"]["reason"] == "refused"


async def test_data_other_than_photos_follows_the_implicit_policy(auditor: Caller) -> None:
    ann = (await auditor.store(patient()))["id"]

    said = await decided(auditor, f"resource=Patient/{ann}")

    assert said["nurse"]["basis"] == "care:all-normal"
    assert said["patient"]["basis"] == "obligation:gdpr-15"


@pytest.mark.parametrize(
    "query",
    [
        *("", "purpose=TREAT", "patient=1&patient=2", "patient=Group/1", "resource=x", "patient=1&at=soon"),
        *("patient=1&x=1", "patient=1&channel=pigeon"),
    ],
)
async def test_what_is_not_asked_rightly_is_told_so(auditor: Caller, query: str) -> None:
    assert (await auditor.get(f"/fhir/Consent/$decide?{query}")).status_code == 400
    assert (await auditor.get(f"/fhir/Consent/$consent-periods?{query}&y=")).status_code == 400
    assert (await auditor.get("/fhir/Consent/$consent-periods")).status_code == 400


async def test_whoever_may_not_know_of_a_photo_learns_nothing_of_it(clinic: InProcess, auditor: Caller) -> None:
    ann, _, photo, _ = await case(clinic, auditor)
    ben = (await auditor.store(patient()))["id"]
    other = clinic.caller("patient/*.cruds", patient=ben, fhir_user=f"Patient/{ben}", role="patient")

    assert (await other.get(f"/fhir/Consent/$decide?resource=Media/{photo['id']}")).status_code == 404
    assert "parameter" not in read(await other.get(f"/fhir/Consent/$consent-periods?patient={ann}"))


async def test_t98_the_periods_are_exact(clinic: InProcess, auditor: Caller) -> None:
    ann, given, _, _ = await case(clinic, auditor)
    withdrawn = read(await auditor.post(f"/fhir/Consent/{given['id']}/$withdraw"))
    at = now(clinic)
    second = await auditor.store(consent(ann, dateTime=instant(at), provision={"period": {"end": "2031-01-01"}}))
    third = await auditor.store(consent(ann, dateTime=instant(at + timedelta(seconds=1)), kind="deny"))

    answer = read(await auditor.get(f"/fhir/Consent/$consent-periods?patient={ann}"))

    found = [parts(one) for one in answer["parameter"]]
    assert [(one["consent"], one["type"], one.get("ended")) for one in found] == [
        ({"reference": f"Consent/{given['id']}/_history/1"}, "permit", "withdrawn"),
        ({"reference": f"Consent/{second['id']}/_history/1"}, "permit", "superseded"),
        ({"reference": f"Consent/{third['id']}/_history/1"}, "deny", None),
    ]
    ended = next(one["valueInstant"] for one in withdrawn["extension"])
    assert found[0]["inForce"] == {"start": given["meta"]["lastUpdated"], "end": ended}
    ended = read(await auditor.get(f"/fhir/Consent/{second['id']}"))["meta"]["lastUpdated"]
    assert found[1]["inForce"] == {"start": second["meta"]["lastUpdated"], "end": ended}


async def test_staff_pass_on_the_patients_word_and_say_how_it_came(clinic: InProcess, auditor: Caller) -> None:
    _, given, _, _ = await case(clinic, auditor)
    path = f"/fhir/Consent/{given['id']}/$withdraw"

    def by(channel: str) -> Json:
        return {"resourceType": "Parameters", "parameter": [{"name": "channel", "valueCode": channel}]}

    assert (await auditor.post(path, by("pigeon"))).status_code == 422
    assert (await auditor.post(path, {"resourceType": "Basic"})).status_code == 400
    withdrawn = read(await auditor.post(path, by("phone")))

    assert {"url": "urn:aesthetic-fhir-server:withdrawn-by", "valueCode": "phone"} in withdrawn["extension"]


async def test_a_token_that_reads_no_consents_is_told_that_it_is_done(clinic: InProcess, auditor: Caller) -> None:
    _, given, _, _ = await case(clinic, auditor)
    writer = clinic.caller("system/Consent.u")

    assert (await writer.post(f"/fhir/Consent/{given['id']}/$withdraw")).status_code == 204
