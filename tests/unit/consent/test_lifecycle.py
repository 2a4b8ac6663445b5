"""How a Consent comes into force, makes room for a newer one, and ends."""

from typing import Any

import pytest

from fhir_server.consent.gate import Gate
from fhir_server.consent.law import law_of
from fhir_server.consent.lifecycle import Lifecycle
from fhir_server.consent.standing import Standing
from fhir_server.consent.terms import ANONYMISATION, CHANNEL, SUPERSEDED_BY, USE, WITHDRAWN_AT
from fhir_server.engine.call import Interaction
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ConflictError, StaleBasisError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.withdrawal import withdraw
from tests.fakes.clinic import BASE, FakeClinic
from tests.samples import consent as sample
from tests.unit.engine.calls import Running, call, running

pytestmark = pytest.mark.anyio

OLD, NEW, NEWEST = "2026-01-05T09:00:00Z", "2026-02-05T09:00:00Z", "2026-03-01T09:00:00Z"


class Late(Lifecycle):
    """Gets its ports when the clinic is there."""

    def __init__(self) -> None:
        """Nothing yet."""

    def _attach(self, clinic: FakeClinic, standing: Standing) -> None:
        super().__init__(clinic.resources, standing)


class LateGate(Gate):
    def __init__(self) -> None:
        """Nothing yet."""

    def _attach(self, clinic: FakeClinic, standing: Standing) -> None:
        super().__init__(standing, clinic.resources, BASE, clinic.elsewhere)


def opened() -> Running:
    step, gate = Late(), LateGate()
    at = running(gate, step)
    standing = Standing(at.clinic.resources, at.clinic.heads, law_of("eu"))
    step._attach(at.clinic, standing)
    gate._attach(at.clinic, standing)
    return at


async def give(at: Running, id: str, code: str = "care-photography", kind: str = "permit", **more: Any) -> Stored:
    written = {"id": id, **sample("ann", code, kind, **more)}
    return await at.engine.update(call(Interaction.UPDATE, "Consent", id), written)


async def standing(at: Running) -> dict[str, int]:
    head = (await at.clinic.heads.heads(["ann"])).get("ann")
    assert head is not None
    return {key.id: version for key, version in head.consents.items()}


def current(at: Running, id: str) -> Json:
    return at.clinic.memory.current[ResourceKey("Consent", id)].resource


async def test_a_newer_signature_ends_the_older_for_its_purpose_in_the_same_commit() -> None:
    at = opened()
    await give(at, "old", dateTime=OLD)
    await give(at, "else", "research", dateTime=OLD)

    await give(at, "new", kind="deny", dateTime=NEW)

    assert await standing(at) == {"else": 1, "new": 1}
    old = current(at, "old")
    assert old["status"] == "inactive"
    assert old["extension"] == [{"url": SUPERSEDED_BY, "valueReference": {"reference": "Consent/new"}}]


async def test_signatures_of_one_instant_stand_beside_each_other() -> None:
    at = opened()
    await give(at, "yes", dateTime=OLD)
    await give(at, "no", kind="deny", dateTime=OLD)
    await give(at, "day", dateTime="2026-01-05")

    assert await standing(at) == {"yes": 1, "no": 1, "day": 1}


async def test_a_consent_for_everything_is_not_ended_by_one_for_something() -> None:
    at = opened()
    wide = {"id": "wide", **sample("ann", kind="deny", dateTime=OLD)}
    wide["provision"] = {"type": "deny"}
    await at.engine.update(call(Interaction.UPDATE, "Consent", "wide"), wide)

    await give(at, "new", dateTime=NEW)

    assert await standing(at) == {"new": 1, "wide": 1}


@pytest.mark.parametrize("kind", ["permit", "deny"])
async def test_a_backdated_signature_has_no_force_and_leaves_nothing(kind: str) -> None:
    at = opened()
    await give(at, "new", dateTime=NEW)

    with pytest.raises(ConflictError):
        await give(at, "old", kind=kind, dateTime=OLD)

    assert ResourceKey("Consent", "old") not in at.clinic.memory.current
    assert await standing(at) == {"new": 1}


async def test_a_signature_from_before_a_withdrawal_does_not_bring_it_back() -> None:
    at = opened()
    await give(at, "given", dateTime=OLD)
    await withdraw(at.engine, call(Interaction.OPERATION, "Consent", "given"))
    assert await standing(at) == {"given": 2}

    with pytest.raises(ConflictError):
        await give(at, "older", dateTime=NEW)


async def test_a_signature_after_a_withdrawal_takes_its_place() -> None:
    at = opened()
    await give(at, "given", dateTime=OLD, status="active")
    ended = {**current(at, "given"), "status": "inactive"}
    ended["extension"] = [{"url": WITHDRAWN_AT, "valueInstant": NEW}]
    await at.engine.update(call(Interaction.UPDATE, "Consent", "given"), ended)

    await give(at, "again", dateTime=NEWEST)

    assert await standing(at) == {"again": 1}
    assert [one["url"] for one in current(at, "given")["extension"]] == [WITHDRAWN_AT, SUPERSEDED_BY]


async def test_setting_a_permission_to_inactive_is_withdrawing_it() -> None:
    at = opened()
    await give(at, "given")

    stored = await give(at, "given", status="inactive")

    assert [one["url"] for one in stored.resource["extension"]] == [WITHDRAWN_AT]
    assert await standing(at) == {"given": 2}


@pytest.mark.parametrize("status", ["rejected", "entered-in-error", "inactive"])
async def test_what_has_ended_does_not_come_into_force_again(status: str) -> None:
    at = opened()
    await give(at, "given", kind="deny", status="active")
    await give(at, "given", kind="deny", status=status)
    assert await standing(at) == {}

    with pytest.raises(UnprocessableError):
        await give(at, "given", status="active")


async def test_a_withdrawal_is_not_undone_by_an_update() -> None:
    at = opened()
    await give(at, "given")
    await withdraw(at.engine, call(Interaction.OPERATION, "Consent", "given"))

    for status in ("active", "inactive", "entered-in-error"):
        with pytest.raises(UnprocessableError):
            await give(at, "given", status=status)
    forged = [{"url": SUPERSEDED_BY, "valueReference": {"reference": "Consent/x"}}]
    with pytest.raises(UnprocessableError):
        await give(at, "given", status="inactive", extension=[*current(at, "given")["extension"], *forged])
    with pytest.raises(UnprocessableError):
        await give(at, "made-up", status="inactive", extension=forged)


async def test_a_proposed_consent_comes_into_force_when_it_is_made_active() -> None:
    at = opened()
    await give(at, "given", status="proposed")
    assert await standing(at) == {}

    await give(at, "given")

    assert await standing(at) == {"given": 2}


async def test_a_note_on_a_consent_in_force_ends_nothing() -> None:
    at = opened()
    await give(at, "given", dateTime=OLD)
    await give(at, "given", dateTime=OLD, language="fr")

    assert await standing(at) == {"given": 2}


def email(*channels: str) -> list[Json]:
    return [{"url": CHANNEL, "valueCode": channel} for channel in channels]


async def test_s42_messages_are_consented_channel_by_channel() -> None:
    at = opened()
    await give(at, "mail", "communications", dateTime=OLD, extension=email("email"))
    await give(at, "sms", "communications", kind="deny", dateTime=NEW, extension=email("sms"))

    assert await standing(at) == {"mail": 1, "sms": 1}

    await give(at, "both", "communications", kind="deny", dateTime=NEWEST, extension=email("sms", "email"))
    assert await standing(at) == {"both": 1}


async def test_a_deleted_consent_stands_no_more() -> None:
    at = opened()
    await give(at, "given")
    await at.engine.delete(call(Interaction.DELETE, "Consent", "given"))

    assert await standing(at) == {}


@pytest.mark.parametrize("status", ["draft", "proposed"])
async def test_t_71_what_had_force_does_not_become_a_draft(status: str) -> None:
    """As a draft it could be deleted, and its refusals with it."""
    at = opened()
    await give(at, "given", kind="deny")

    with pytest.raises(UnprocessableError, match="draft"):
        await give(at, "given", kind="deny", status=status)

    assert await standing(at) == {"given": 1}


async def test_a_consent_names_its_patient_and_keeps_it() -> None:
    at = opened()
    await give(at, "given")
    other = {"id": "given", **sample("ben")}
    with pytest.raises(UnprocessableError, match="does not change"):
        await at.engine.update(call(Interaction.UPDATE, "Consent", "given"), other)
    with pytest.raises(UnprocessableError, match="reference to a Patient"):
        await at.engine.create(call(Interaction.CREATE, "Consent"), {**sample("ann"), "patient": {"display": "Ann"}})


async def test_two_who_sign_at_once_do_not_both_stand() -> None:
    """The second decides on an epoch that has moved, and looks again."""
    at = opened()
    await give(at, "first", dateTime=OLD)
    at.clinic.resources.failures.append(StaleBasisError("moved"))

    await give(at, "second", dateTime=NEW)

    assert await standing(at) == {"second": 1}


PUBLISHED = [{"url": CHANNEL, "valueCode": "instagram"}, {"url": USE, "valueString": "Before and after"}]
HOW = [*PUBLISHED, {"url": ANONYMISATION, "valueCode": "eyes-masked"}]
SOURCE = {"sourceReference": {"reference": "DocumentReference/d"}}
ENDS = {"provision": {"period": {"end": "2027-01-01"}}}
TWO = [{"system": "urn:aesthetic-fhir-server:purpose", "code": code} for code in ("care-photography", "research")]


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("care-photography", {"provision": {"purpose": TWO}}),
        ("care-photography", {"provision": {"purpose": [{"code": "*", "system": TWO[0]["system"]}]}}),
        ("care-photography", {"dateTime": "2999-01-01"}),
        ("communications", {}),
        ("communications", {"extension": email("pigeon")}),
        ("care-photography", {"extension": [{"url": ANONYMISATION, "valueCode": "hardly"}]}),
        ("photo-marketing", {"extension": PUBLISHED}),
        ("photo-marketing", {"extension": PUBLISHED[:1], **SOURCE}),
        ("photo-social", {"extension": HOW, **SOURCE}),
        ("photo-social", {"extension": PUBLISHED, **SOURCE, **ENDS}),
        ("publication-journal", {"extension": HOW[1:], **SOURCE, **ENDS}),
    ],
)
async def test_s36_s75_s76_s77_s78_t83_t84_what_does_not_say_enough_does_not_come_into_force(
    code: str, more: Json
) -> None:
    at = opened()

    with pytest.raises(UnprocessableError) as refused:
        await give(at, "given", code, **more)

    assert [issue.code for issue in refused.value.issues] == ["invalid"]
    assert at.clinic.memory.current == {}
    await give(at, "given", code, **{**more, "status": "proposed"})


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("photo-marketing", {"extension": PUBLISHED, **SOURCE}),
        ("photo-social", {"extension": HOW, **SOURCE, **ENDS}),
        ("communications", {"extension": email("sms")}),
        ("care-photography", {"provision": None}),
    ],
)
async def test_what_says_enough_comes_into_force(code: str, more: Json) -> None:
    at = opened()
    if more.get("provision", ...) is None:
        written = {name: value for name, value in sample("ann").items() if name != "provision"}
        await at.engine.update(call(Interaction.UPDATE, "Consent", "given"), {"id": "given", **written})
    else:
        await give(at, "given", code, **more)

    assert await standing(at) == {"given": 1}


async def test_a_refusal_needs_to_say_no_more_than_that() -> None:
    at = opened()
    await give(at, "no", "photo-social", kind="deny")

    assert await standing(at) == {"no": 1}
