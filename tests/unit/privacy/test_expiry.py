"""What has run out ends like what is withdrawn."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.consent.terms import WITHDRAWN_AT
from fhir_server.engine.call import Interaction
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.expiry import Expiry
from fhir_server.privacy.withdrawal import RECONSIDER_PHOTOS
from tests.samples import consent
from tests.unit.engine.calls import SERVER, Running, call
from tests.unit.privacy.test_withdrawal import opened

pytestmark = pytest.mark.anyio


async def give(at: Running, id: str, days: int, **more: Any) -> None:
    end = (at.clinic.clock.now() + timedelta(days=days)).date().isoformat()
    written = {
        "id": id,
        **consent("ann", more.pop("code", "care-photography"), provision={"period": {"end": end}}, **more),
    }
    await at.engine.update(call(Interaction.UPDATE, "Consent", id), written)


def current(at: Running, id: str) -> Json:
    return at.clinic.memory.current[ResourceKey("Consent", id)].resource


async def test_s85_what_has_run_out_ends_and_the_photos_are_decided_again() -> None:
    at = opened()
    await give(at, "over", -1)
    await give(at, "today", 0, code="training")
    expiry = Expiry(at.engine, SERVER, at.clinic.clock)

    assert await expiry() == 1
    assert await expiry() == 0

    ended = current(at, "over")
    assert ended["status"] == "inactive"
    midnight = at.clinic.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert {"url": WITHDRAWN_AT, "valueInstant": instant(midnight)} in ended["extension"]
    assert current(at, "today")["status"] == "active"
    leased = await at.clinic.tasks.lease()
    assert leased is not None
    assert (leased.task.name, leased.task.cause) == (RECONSIDER_PHOTOS, "Consent/over/_history/2")


async def test_a_refusal_that_has_run_out_is_over_and_no_withdrawal() -> None:
    at = opened()
    await give(at, "no", -1, kind="deny")

    assert await Expiry(at.engine, SERVER, at.clinic.clock)() == 1

    assert current(at, "no")["status"] == "inactive"
    assert "extension" not in current(at, "no")
    head = (await at.clinic.heads.heads(["ann"])).get("ann")
    assert head is not None
    assert head.consents == {}


async def test_a_day_ends_where_the_clinic_is() -> None:
    at = opened()
    await give(at, "over", -1)

    assert await Expiry(at.engine, SERVER, at.clinic.clock, ZoneInfo("Etc/GMT+12"))() in {0, 1}
    west = at.clinic.clock.now().astimezone(ZoneInfo("Etc/GMT+12")).date()
    assert (current(at, "over")["status"] == "active") is (west < at.clinic.clock.now().date())
