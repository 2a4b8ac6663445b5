"""A signature as such; and what signing and asking do where nothing else stands in the way."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.consent.answers import answered
from fhir_server.consent.form import forms
from fhir_server.consent.inquiry import Asked, Inquiry
from fhir_server.consent.law import law_of
from fhir_server.consent.question import Deny, Permit
from fhir_server.consent.signature import Sitting, require_signed
from fhir_server.consent.signed import Signed, signed
from fhir_server.consent.signing import Office, Signing
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.engine.call import Interaction
from fhir_server.kernel.errors import ConflictError, NotFoundError, TooCostlyError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, random_id
from fhir_server.kernel.json import Json
from tests.fakes.clock import NOW
from tests.flows.signings import CARE, MARKETING, response, signature
from tests.samples import consent as sample
from tests.unit.consent.asking import PHOTOGRAPHY, consent
from tests.unit.engine.calls import SERVER, Running, call, running

pytestmark = pytest.mark.anyio

ANN = ResourceKey("Patient", "ann")


def sitting(**more: Any) -> Sitting:
    written = {**signature("Patient/ann", NOW), **more}
    answers = response("care", "en", {**CARE, "understood": True})
    return Sitting("ann", forms()["care", "en"], answers, written, ANN)


async def test_a_signature_is_of_now_of_the_signer_and_something() -> None:
    nine = datetime(2026, 3, 14, 9, tzinfo=UTC)
    assert require_signed(sitting(when="2026-03-14T10:00:00+01:00"), nine) == nine
    for wrong in ({"when": "2026-03-14"}, {"when": "2026-03-14T10:00:00"}, {"when": 7}, {"data": ""}, {"who": "x"}):
        with pytest.raises(UnprocessableError):
            require_signed(sitting(**wrong), NOW)
    with pytest.raises(UnprocessableError):
        require_signed(sitting(who={"reference": "Patient/ben"}), NOW)
    with pytest.raises(ConflictError):
        require_signed(sitting(when="2020-01-01T00:00:00Z"), NOW)


async def test_a_consent_without_a_time_counts_from_when_it_was_written() -> None:
    before = datetime(2026, 1, 1, tzinfo=UTC)

    assert signed(consent(PHOTOGRAPHY), NOW, before) == Signed(before, before)
    assert signed(consent(PHOTOGRAPHY), NOW) == Signed(NOW, NOW)
    assert signed(consent(PHOTOGRAPHY, dateTime="2026"), NOW).end == datetime(2027, 1, 1, tzinfo=UTC)


async def test_nobody_signs_for_a_patient_who_is_not_there() -> None:
    at = running()
    office = Office("Clinic", {"display": "Clinic"}, "https://clinic.example", law_of("eu").pack)
    signing = Signing(at.engine, SERVER, random_id, RandomBytes(), office)

    with pytest.raises(UnprocessableError, match="no such patient"):
        await signing.sign(call(Interaction.OPERATION, "Consent"), sitting())

    assert at.clinic.memory.current == {}


async def stored(at: Running, resource: Json) -> None:
    await at.engine.update(call(Interaction.UPDATE, resource["resourceType"], resource["id"]), resource)


async def test_what_cannot_be_told_in_full_is_not_told() -> None:
    at = running()
    for id in ("a", "b"):
        await stored(at, {"id": id, **sample("ann")})
    asking = call(Interaction.OPERATION, "Consent")

    assert len(await Inquiry(at.engine, law_of("eu")).periods(asking, "ann")) == 2
    with pytest.raises(TooCostlyError):
        await Inquiry(at.engine, law_of("eu"), most=1).periods(asking, "ann")


@pytest.mark.parametrize(("zone", "expected"), [(UTC, Permit), (timezone(timedelta(hours=2)), Deny)])
async def test_a_day_ends_at_the_clinic_when_it_is_explained_too(zone: tzinfo, expected: type) -> None:
    at = running()
    day = at.clinic.clock.now() + timedelta(days=1)
    given = sample("ann", provision={"period": {"end": day.date().isoformat()}})
    await stored(at, {"id": "a", **given})
    late = day.replace(hour=23, minute=0)

    asked = Asked("ann", None, "care-photography", late)
    said = await Inquiry(at.engine, law_of("eu"), zone=zone).decided(call(Interaction.OPERATION, "Consent"), asked)

    assert {type(one.decision) for one in said} == {expected}


async def test_what_concerns_no_patient_is_not_decided_about() -> None:
    at = running()
    await stored(at, {"resourceType": "Practitioner", "id": "p"})
    asked = Asked(None, ResourceKey("Practitioner", "p"), "treatment", at.clinic.clock.now())

    with pytest.raises(NotFoundError):
        await Inquiry(at.engine, law_of("eu")).decided(call(Interaction.OPERATION, "Consent"), asked)


@pytest.mark.parametrize("months", ["12", True, Decimal("1.5"), 0, 1_000_000])
def test_s_77_a_number_of_months_is_a_whole_one(months: object) -> None:
    said = response("marketing", "en", {**MARKETING, "understood": True})
    place = next(item for item in said["item"] if "valueInteger" in item["answer"][0])
    place["answer"][0]["valueInteger"] = months

    with pytest.raises(UnprocessableError):
        answered(forms()["marketing", "en"], said)
