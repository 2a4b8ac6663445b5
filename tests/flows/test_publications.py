"""The register of what is published: on a basis, checked by a practitioner; taken down with a proof."""

from dataclasses import dataclass
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.consent.terms import ANONYMISATION
from fhir_server.engine.pictured import TAGS
from fhir_server.kernel.json import Json
from fhir_server.media.vocabulary import RENDITION, SIMULATED
from tests.clinics import Caller, InProcess, read
from tests.flows.withdrawals import until_done
from tests.samples import consent, jpeg, media, patient, published

pytestmark = pytest.mark.anyio

OTHER = {"type": {"text": "note"}, "valueString": "not looked at"}
TASKS = "urn:aesthetic-fhir-server:task"


@pytest.fixture(scope="module")
def office(clinic: InProcess) -> Caller:
    return clinic.caller(client="office")


@pytest.fixture(scope="module")
def surgeon(clinic: InProcess) -> Caller:
    return clinic.caller(client="publisher", fhir_user="Practitioner/publisher")


@dataclass
class Case:
    """A patient whose consent lets the website show them, and a photo with a rendition."""

    ann: str
    care: Json
    given: Json
    photo: Json
    rendition: Json


async def case(office: Caller, channel: str = "website", purpose: str = "photo-marketing", **more: Any) -> Case:
    ann = (await office.store(patient()))["id"]
    care = await office.store(consent(ann))
    given = await office.store(consent(ann, purpose, **published(channel, **more)))
    photo = await office.store(media(ann, jpeg()))
    made = media(ann, jpeg(), extension=[{"url": RENDITION, "valueCode": "watermarked"}])
    return Case(ann, care, given, photo, await office.store(made))


def task(of: Case, channel: str = "website", purpose: str = "photo-marketing", **more: Any) -> Json:
    said = {"purpose": purpose, "channel": channel}
    checked = {"type": {"coding": [{"code": "ethics-check"}]}, "valueReference": {"reference": "Practitioner/x"}}
    return {
        "resourceType": "Task",
        "status": "completed",
        "intent": "order",
        "code": {"coding": [{"system": TASKS, "code": "publish"}]},
        "focus": {"reference": f"Media/{of.rendition['id']}"},
        "for": {"reference": f"Patient/{of.ann}"},
        "input": [{"type": {"coding": [{"code": name}]}, "valueCode": code} for name, code in said.items()],
        "output": [checked],
        **more,
    }


async def takedowns(office: Caller, of: Case) -> list[Json]:
    found = read(await office.get(f"/fhir/Task?patient=Patient/{of.ann}&code={TASKS}|takedown"))
    return [entry["resource"] for entry in found.get("entry", [])]


def reason(answer: Response) -> str:
    return str(read(answer)["issue"][0]["diagnostics"])


async def test_s_74_t_86_the_website_is_permitted_and_social_media_are_not(office: Caller, surgeon: Caller) -> None:
    ann = await case(office)

    assert (await surgeon.post("/fhir/Task", task(ann))).status_code == 201
    for channel, purpose in (("print", "photo-marketing"), ("instagram", "photo-social")):
        refused = await surgeon.post("/fhir/Task", task(ann, channel, purpose))
        assert (refused.status_code, read(refused)["issue"][0]["code"]) == (403, "suppressed")


async def test_s_72_t_79_consent_to_care_publishes_nothing(office: Caller, surgeon: Caller) -> None:
    ann = await case(office)
    await office.post(f"/fhir/Consent/{ann.given['id']}/$withdraw")

    assert (await surgeon.post("/fhir/Task", task(ann))).status_code == 403
    assert (await surgeon.get(f"/fhir/{ann.photo['content']['url']}")).status_code == 200


@pytest.mark.parametrize(("channel", "status"), [("instagram", 201), ("tiktok", 403)])
async def test_s_76_t_85_a_platform_that_was_not_named_is_refused(
    office: Caller, surgeon: Caller, channel: str, status: int
) -> None:
    ann = await social(office)

    assert (await surgeon.post("/fhir/Task", task(ann, channel, "photo-social"))).status_code == status


async def social(office: Caller, **more: Any) -> Case:
    terms = published("instagram")
    terms["extension"].append({"url": ANONYMISATION, "valueCode": "identifiable"})
    return await case(
        office, "instagram", "photo-social", **{**terms, "provision": {"period": {"end": "2099-01-01"}}, **more}
    )


async def test_s_77_after_the_agreed_end_it_is_refused(office: Caller, surgeon: Caller) -> None:
    ann = await social(office, provision={"period": {"end": "2026-01-06"}})

    refused = await surgeon.post("/fhir/Task", task(ann, "instagram", "photo-social"))

    assert refused.status_code == 403


async def test_s_78_the_original_is_refused_where_masked_eyes_were_agreed(office: Caller, surgeon: Caller) -> None:
    masked = {"url": ANONYMISATION, "valueCode": "eyes-masked"}
    ann = await social(office, extension=[*published("instagram")["extension"], masked])

    refused = await surgeon.post("/fhir/Task", task(ann, "instagram", "photo-social"))

    assert refused.status_code == 403
    assert "shows less" in reason(refused)


async def test_s_80_only_a_practitioner_who_checked_it_publishes(office: Caller, surgeon: Caller) -> None:
    ann = await case(office)

    assert (await office.post("/fhir/Task", task(ann))).status_code == 403
    assert (await surgeon.post("/fhir/Task", task(ann, output=[OTHER]))).status_code == 403
    draft = await office.store(task(ann, status="requested", output=[OTHER]))
    assert (await surgeon.put(f"/fhir/Task/{draft['id']}", task(ann, id=draft["id"]))).status_code == 200


async def test_s_81_what_was_simulated_is_not_published(office: Caller, surgeon: Caller) -> None:
    ann = await case(office)
    tag = {"system": TAGS, "code": SIMULATED}
    ann.rendition = await office.store(media(ann.ann, jpeg(), meta={"tag": [tag]}))

    assert (await surgeon.post("/fhir/Task", task(ann))).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [{"focus": {"reference": "Media/nowhere"}}, {"for": {"reference": "Patient/other"}}, {"input": [OTHER]}],
)
async def test_a_publication_says_of_whom_what_for_and_where(office: Caller, surgeon: Caller, wrong: Json) -> None:
    assert (await surgeon.post("/fhir/Task", task(await case(office), **wrong))).status_code == 422


async def test_s_84_m7_a_withdrawal_asks_for_a_takedown_and_destroys_the_rendition(
    clinic: InProcess, office: Caller, surgeon: Caller
) -> None:
    ann = await case(office)
    register = await surgeon.store(task(ann))
    await surgeon.store(task(ann, focus={"reference": f"Media/{ann.photo['id']}"}))

    await office.post(f"/fhir/Consent/{ann.given['id']}/$withdraw")
    await until_done(clinic)

    asked = await takedowns(office, ann)
    assert {one["focus"]["reference"] for one in asked} == {f"Media/{one['id']}" for one in (ann.photo, ann.rendition)}
    assert all(one["restriction"]["period"]["end"] > one["authoredOn"] for one in asked)
    assert f"Task/{register['id']}/_history/1" in [one["basedOn"][0]["reference"] for one in asked]
    assert (await office.get(f"/fhir/{ann.rendition['content']['url']}")).status_code == 410
    assert (await office.get(f"/fhir/{ann.photo['content']['url']}")).status_code == 200, "care goes on"

    await office.post(f"/fhir/Consent/{ann.care['id']}/$withdraw")
    await until_done(clinic)
    assert await takedowns(office, ann) == asked, "each is asked for once"


async def test_s_85_an_expiry_asks_for_it_likewise(clinic: InProcess, office: Caller, surgeon: Caller) -> None:
    ann = await case(office)
    await surgeon.store(task(ann))
    given = {**ann.given, "provision": {**ann.given["provision"], "period": {"end": "2026-01-06"}}}

    await office.put(f"/fhir/Consent/{given['id']}", given)
    await until_done(clinic)

    assert len(await takedowns(office, ann)) == 1


async def test_m7_a_takedown_ends_with_a_proof_and_in_no_other_way(
    clinic: InProcess, office: Caller, surgeon: Caller
) -> None:
    ann = await case(office)
    register = await surgeon.store(task(ann))
    await office.post(f"/fhir/Consent/{ann.given['id']}/$withdraw")
    await until_done(clinic)
    [asked] = await takedowns(office, ann)
    path, proof = (
        f"/fhir/Task/{asked['id']}",
        {"type": {"coding": [{"code": "proof"}]}, "valueUrl": "https://x.example/gone"},
    )

    later = {**asked, "restriction": {"period": {"end": "2099-01-01"}}}
    for wrong in ({**asked, "status": "completed"}, {**asked, "status": "cancelled"}, later):
        assert (await office.put(path, wrong)).status_code == 422
    assert (await office.delete(path)).status_code == 422
    assert (await office.delete(f"/fhir/Task/{register['id']}")).status_code == 422
    assert (await office.post("/fhir/Task", {**asked, "id": "x"})).status_code == 422
    assert (await office.put(path, {**asked, "status": "completed", "output": [proof]})).status_code == 200


async def test_a_publication_that_another_consent_covers_stays(
    clinic: InProcess, office: Caller, surgeon: Caller
) -> None:
    ann = await case(office)
    await surgeon.store(task(ann))
    other = await office.store(consent(ann.ann, "photo-marketing", **published("website")))

    await office.post(f"/fhir/Consent/{ann.given['id']}/$withdraw")
    await until_done(clinic)
    assert await takedowns(office, ann) == []

    await office.post(f"/fhir/Consent/{other['id']}/$withdraw")
    await until_done(clinic)
    await until_done(clinic)
    assert len(await takedowns(office, ann)) == 1
