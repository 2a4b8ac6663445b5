"""What stood when a photo was taken decides whether it was taken rightly, not what stands since."""

from datetime import datetime, timedelta

import pytest

from fhir_server.consent.facts import Facts
from fhir_server.consent.law import law_of
from fhir_server.consent.past import Past
from fhir_server.consent.question import Deny, Permit, Reason
from fhir_server.engine.change import Change
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.fakes.clinic import FakeClinic
from tests.fakes.clock import NOW, FakeClock
from tests.samples import consent
from tests.unit.consent.asking import ask

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def clinic(clock: FakeClock) -> FakeClinic:
    return FakeClinic(clock)


async def put(clinic: FakeClinic, resource: Json, id: str = "c1") -> None:
    key = ResourceKey("Consent", id)
    await clinic.resources.commit([Change(key, {**resource, "id": id}, clinic.memory.current.get(key), ("7",))])


async def decided(
    clinic: FakeClinic, *when: object, stored: datetime = NOW + 9 * DAY, law: str = "eu"
) -> Permit | Deny:
    asked = ask(facts=Facts(when=when), profession="practitioner", taking=True)
    return await Past(clinic.resources, law_of(law)).decide(asked, stored)


async def test_t_99_what_was_refused_then_is_not_permitted_by_what_came_since(
    clinic: FakeClinic, clock: FakeClock
) -> None:
    await put(clinic, consent("7", kind="deny", dateTime="2026-03-14"))
    clock.advance(2 * DAY)
    await put(clinic, consent("7", kind="deny", status="entered-in-error"))

    then, later = await decided(clinic, "2026-03-15", law="gb"), await decided(clinic, "2026-03-20", law="gb")

    assert isinstance(then, Deny)
    assert then.reason is Reason.REFUSED
    assert isinstance(later, Permit), "care by the rule of the jurisdiction"


async def test_one_on_paper_stood_from_its_signature_on(clinic: FakeClinic, clock: FakeClock) -> None:
    clock.advance(5 * DAY)
    await put(clinic, consent("7", dateTime="2026-03-15T10:00:00Z"))

    assert isinstance(await decided(clinic, "2026-03-15T10:00:01Z"), Permit)
    assert isinstance(await decided(clinic, "2026-03-15T09:59:59Z"), Deny)


async def test_of_a_day_one_moment_with_a_consent_is_enough(clinic: FakeClinic, clock: FakeClock) -> None:
    await put(clinic, consent("7", dateTime="2026-03-14T09:00:00Z"))
    clock.advance(timedelta(hours=2))
    await put(clinic, {**consent("7", dateTime="2026-03-14T09:00:00Z"), "status": "entered-in-error"})

    assert isinstance(await decided(clinic, "2026-03-14"), Deny)  # neither its first moment nor its last
    assert isinstance(await decided(clinic, {"start": "2026-03-14T09:30:00Z", "end": "2026-03-20"}), Permit)
    assert isinstance(await decided(clinic, stored=NOW + timedelta(hours=1)), Permit)
    assert isinstance(await decided(clinic, stored=NOW + timedelta(hours=3)), Deny)
    assert isinstance(await decided(clinic, "2099", stored=NOW + timedelta(hours=1)), Permit), "it was here before"


async def test_one_without_a_time_counts_from_when_it_was_entered(clinic: FakeClinic, clock: FakeClock) -> None:
    clock.advance(DAY)
    undated = consent("7")
    del undated["dateTime"]
    await put(clinic, undated)

    assert isinstance(await decided(clinic, "2026-03-14"), Deny)
    assert isinstance(await decided(clinic, "2026-03-18"), Permit)


async def test_more_consents_than_anybody_signs_are_not_looked_through(
    clinic: FakeClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.consent.past._MOST", 1)
    for id in ("c1", "c2"):
        await put(clinic, consent("7"), id)

    with pytest.raises(TooCostlyError):
        await decided(clinic, "2026-03-18")
