"""Consents that nobody gave like that: each is refused with its place, and nothing of it is kept."""

from datetime import timedelta
from typing import Any

import pytest

from fhir_server.consent.terms import CHANNEL, SUPERSEDED_BY
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

SYSTEM = "urn:aesthetic-fhir-server:purpose"


@pytest.fixture(scope="module")
def clerk(clinic: InProcess) -> Caller:
    return clinic.caller()


def purposes(*codes: str) -> Json:
    return {"provision": {"purpose": [{"system": SYSTEM, "code": code} for code in codes]}}


async def refused(clinic: InProcess, clerk: Caller, resource: Json, status: int, place: str | None = None) -> None:
    before = await clinic.counts()
    answer = await (
        clerk.put(f"/fhir/{resource['resourceType']}/{resource['id']}", resource)
        if "id" in resource
        else clerk.post(f"/fhir/{resource['resourceType']}", resource)
    )
    assert answer.status_code == status, answer.text
    outcome = read(answer)
    assert outcome["resourceType"] == "OperationOutcome"
    if place:
        assert place in [expression for issue in outcome["issue"] for expression in issue.get("expression", [])]
    assert await clinic.counts() == before


@pytest.mark.parametrize(
    ("code", "more", "place"),
    [
        ("research", purposes("research", "training"), "Consent.provision.purpose"),
        ("research", purposes("research", "*"), "Consent.provision.purpose"),
        ("research", {"kind": "deny", **purposes("research", "training")}, "Consent.provision.purpose"),
        ("research", {"dateTime": "2999-01-01T00:00:00Z"}, "Consent.dateTime"),
        ("photo-social", {}, "Consent.provision.period.end"),
        ("photo-marketing", {}, "Consent.source"),
        ("communications", {"extension": [{"url": CHANNEL, "valueCode": "pigeon"}]}, "Consent.extension"),
        ("research", {"status": "inactive", "extension": [{"url": SUPERSEDED_BY}]}, None),
    ],
)
async def test_s36_what_names_two_purposes_or_not_enough_is_refused(
    clinic: InProcess, clerk: Caller, code: str, more: dict[str, Any], place: str | None
) -> None:
    ann = (await clerk.store(patient()))["id"]

    await refused(clinic, clerk, consent(ann, code, **more), 422, place)


async def test_a_backdated_signature_does_not_slip_in_before_a_newer_one(clinic: InProcess, clerk: Caller) -> None:
    ann = (await clerk.store(patient()))["id"]
    await clerk.store(consent(ann, kind="deny", dateTime="2026-02-01T10:00:00Z"))

    await refused(clinic, clerk, consent(ann, dateTime="2026-01-01T10:00:00Z"), 409, "Consent.dateTime")
    assert (await clerk.post("/fhir/Media", media(ann, jpeg()))).status_code == 403


async def test_t99_a_live_photo_is_not_dated_before_its_consent(clinic: InProcess, clerk: Caller) -> None:
    ann = (await clerk.store(patient()))["id"]
    now = clinic.clinic.surface.clock.now()
    await clerk.store(consent(ann, dateTime=instant(now)))

    early = media(ann, jpeg(), createdDateTime=instant(now - timedelta(hours=1)))
    await refused(clinic, clerk, early, 409, "Media.created")


async def test_nothing_brings_back_what_was_withdrawn(clinic: InProcess, clerk: Caller) -> None:
    ann = (await clerk.store(patient()))["id"]
    given = await clerk.store(consent(ann))
    ended = read(await clerk.post(f"/fhir/Consent/{given['id']}/$withdraw"))

    await refused(clinic, clerk, {**ended, "status": "active"}, 422, "Consent.status")
    forgetful = {name: value for name, value in ended.items() if name != "extension"}
    await refused(clinic, clerk, forgetful, 422, "Consent.status")
    superseded = [*ended["extension"], {"url": SUPERSEDED_BY, "valueReference": {"reference": "Consent/x"}}]
    await refused(clinic, clerk, {**ended, "extension": superseded}, 422, "Consent.extension")
    await refused(clinic, clerk, consent(ann), 409, "Consent.dateTime")
    patch = await clerk.ask(
        "PATCH",
        f"/fhir/Consent/{given['id']}",
        b'[{"op":"replace","path":"/status","value":"active"}]',
        Content_Type="application/json-patch+json",
    )
    assert patch.status_code == 422
    assert (await clerk.post("/fhir/Media", media(ann, jpeg()))).status_code == 403


async def test_the_same_rules_hold_inside_a_transaction(clinic: InProcess, clerk: Caller) -> None:
    ann = (await clerk.store(patient()))["id"]
    older = await clerk.store(consent(ann, dateTime="2026-01-01"))
    before = await clinic.counts()

    def bundle(*resources: Json) -> Json:
        entries = [{"resource": one, "request": {"method": "POST", "url": "Consent"}} for one in resources]
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    two = consent(ann, "research", **purposes("research", "training"))
    assert (await clerk.post("/fhir", bundle(consent(ann, dateTime="2026-02-01"), two))).status_code == 422
    assert await clinic.counts() == before
    assert read(await clerk.get(f"/fhir/Consent/{older['id']}"))["status"] == "active"

    both = bundle(consent(ann, dateTime="2026-02-01"), consent(ann, kind="deny", dateTime="2026-02-01"))
    answer = await clerk.post("/fhir", both)
    assert answer.status_code == 200, answer.text
    assert read(await clerk.get(f"/fhir/Consent/{older['id']}"))["status"] == "inactive"
    assert (await clerk.post("/fhir/Media", media(ann, jpeg()))).status_code == 403


async def test_an_imported_opt_in_permits_nothing(clerk: Caller) -> None:
    ann = (await clerk.store(patient()))["id"]
    await clerk.store(consent(ann, status="proposed"))

    assert (await clerk.post("/fhir/Media", media(ann, jpeg()))).status_code == 403
