"""Photographs are for staff whose training in handling them is in force, where the clinic wants that enforced."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.kernel.errors import ForbiddenError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.privacy.register.entries import TRAINING
from fhir_server.privacy.register.trained import Trained
from tests.fakes.clock import NOW
from tests.flows.accounts import entry
from tests.samples import patient
from tests.unit.engine.calls import Running, call, running

pytestmark = pytest.mark.anyio

PERSON = "Practitioner/p"
DOCTOR = Principal("p", "app", "", "", ("user/*.rs",), fhir_user=PERSON, role="practitioner")
TOMORROW, YESTERDAY = ((NOW + timedelta(days=days)).date().isoformat() for days in (1, -1))


async def trained(at: Running, id: str, expires: str, topic: str = "photo-handling", person: str = PERSON) -> None:
    said = {"person": person, "topic": topic, "done": "2020-01-01", "expires": expires}
    basic = entry(id, TRAINING, acknowledged=True, **said)
    await at.engine.update(call(Interaction.UPDATE, "Basic", id), basic)


def asking(type: str = "Media", who: Principal = DOCTOR, minutes: int = 0) -> Call:
    return Call(Interaction.SEARCH_TYPE, who, NOW + timedelta(minutes=minutes), type)


async def test_s_65_t_77_training_that_ran_out_or_never_was_shuts_photographs() -> None:
    at = running()
    step = Trained(at.clinic.resources)
    await trained(at, "old", YESTERDAY)
    await trained(at, "fire", TOMORROW, "fire")
    await trained(at, "other", TOMORROW, person="Practitioner/other")

    for type in ("Media", "Binary"):
        with pytest.raises(ForbiddenError):
            await step.admit(asking(type))
    await step.admit(asking("Observation"))


async def test_s_65_training_in_force_opens_them_within_a_minute() -> None:
    at = running()
    step = Trained(at.clinic.resources)
    with pytest.raises(ForbiddenError):
        await step.admit(asking())
    await trained(at, "new", TOMORROW)

    with pytest.raises(ForbiddenError):
        await step.admit(asking())
    await step.admit(asking(minutes=2))


async def test_who_is_no_staff_needs_none() -> None:
    step = Trained(running().clinic.resources)

    for role in ("patient", "system", None):
        await step.admit(asking(who=replace(DOCTOR, role=role)))


async def test_s_65_what_comes_along_with_something_else_is_left_out() -> None:
    at = running()
    step = Trained(at.clinic.resources)
    stored = await at.engine.update(call(Interaction.UPDATE, "Patient", "ann"), {**patient("Ann"), "id": "ann"})
    photo = replace(stored, key=ResourceKey("Media", "m"))

    assert await step.disclose(asking("Observation"), stored) is stored
    assert await step.disclose(asking("Observation"), photo) is None
    await trained(at, "new", TOMORROW)
    assert await step.disclose(asking("Observation", minutes=2), photo) is photo
