"""Which answers ask for a Flag, and that it goes with them."""

import hashlib
from typing import Any

import pytest

from fhir_server.consent.law import law_of
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Interaction
from fhir_server.engine.change import Change, HeadMove
from fhir_server.engine.stored import Stored
from fhir_server.engine.tasks import Task
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.flagging import FLAG_ANSWERS, REFUSED, UNDOCUMENTED, Answers, Flagging, wanted
from fhir_server.privacy.receipt import Scribe
from tests.samples import consent
from tests.unit.engine.calls import SERVER, Running, call, running

pytestmark = pytest.mark.anyio

KEY = ResourceKey("Consent", "c")
REFUSAL = consent("ann", kind="deny")


def test_t_82_refusing_photographs_in_care_is_not_silent() -> None:
    assert wanted([REFUSAL]) == {REFUSED}
    assert wanted([consent("ann"), consent("ann", "photo-social", "deny")]) == frozenset()


@pytest.mark.parametrize("purpose", ["photo-social", "photo-marketing", "marketing", "publication-journal"])
def test_s_73_nor_is_permitting_a_publication_beside_it(purpose: str) -> None:
    assert wanted([REFUSAL, consent("ann", purpose)]) == {REFUSED, UNDOCUMENTED}
    assert wanted([consent("ann"), consent("ann", purpose)]) == frozenset()


@pytest.mark.parametrize("ended", [{"status": "inactive"}, {"status": "draft"}, {"provision": None}])
def test_what_has_no_force_asks_for_none(ended: dict[str, Any]) -> None:
    assert wanted([{**REFUSAL, **ended}]) == frozenset()


async def queued(resource: Json | None, before: Json | None = None, key: ResourceKey = KEY) -> list[str]:
    at = running()
    previous = None
    if before is not None:
        [previous] = await at.clinic.resources.commit([Change(key, {**before, "id": key.id}, None, ("ann",))])
    change = await Answers().prepare(call(Interaction.UPDATE, key.type), Change(key, resource, previous, ("ann",)))
    assert all(task.patient == "ann" for task in change.tasks)
    return [task.name for task in change.tasks]


async def test_the_look_is_queued_when_such_an_answer_comes_or_goes() -> None:
    assert await queued(REFUSAL) == [FLAG_ANSWERS]
    assert await queued({**REFUSAL, "status": "inactive"}, REFUSAL) == [FLAG_ANSWERS]
    assert await queued(None, REFUSAL) == [FLAG_ANSWERS]
    assert await queued(consent("ann")) == []
    assert await queued({**REFUSAL, "patient": {"display": "Ann"}}) == []
    assert await queued({"resourceType": "Patient"}, key=ResourceKey("Patient", "ann")) == []


def given(key: ResourceKey, resource: Json, previous: Stored | None = None) -> Change:
    version = previous.version + 1 if previous else 1
    move = HeadMove("ann", key, version, in_force=resource["status"] == "active")
    return Change(key, {**resource, "id": key.id}, previous, ("ann",)).moving_head(move)


def flags(at: Running) -> list[tuple[str, str]]:
    found = [one.resource for one in at.clinic.memory.current.values() if one.key.type == "Flag"]
    return sorted((one["identifier"][0]["value"], one["status"]) for one in found)


async def test_t_82_s_73_flags_are_raised_once_and_end_with_the_answers() -> None:
    at = running()
    standing = Standing(at.clinic.resources, at.clinic.heads, law_of("gb"))
    scribe = Scribe(bytes.decode, lambda text: hashlib.sha256(text.encode()).hexdigest(), "clinic", "")
    look, task = Flagging(at.engine, standing, scribe, at.clinic.clock, SERVER), Task(FLAG_ANSWERS, "ann", "Consent/c")
    await look(task)
    assert flags(at) == []

    for id, resource in (("c", REFUSAL), ("d", consent("ann", "photo-social"))):
        key = ResourceKey("Consent", id)
        await at.clinic.resources.commit([given(key, resource)])
    for _ in range(2):
        await look(task)
    raised = flags(at)
    previous = at.clinic.memory.current[KEY]
    await at.clinic.resources.commit([given(KEY, {**REFUSAL, "status": "inactive"}, previous)])
    await look(task)

    assert raised == [("care-photographs-refused", "active"), ("published-not-documented", "active")]
    assert flags(at) == [(code, "inactive") for code, _ in raised]
