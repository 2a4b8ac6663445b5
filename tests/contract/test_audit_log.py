"""What every AuditLog promises: durable, numbered without a gap, and nothing on a basis that has moved."""

import asyncio
from itertools import groupby

import pytest

from fhir_server.engine.change import ConsentBasis, HeadMove
from fhir_server.kernel.errors import StaleBasisError, VersionConflictError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.parse import parse
from tests.contract.clinics import Events, Noted, Opened, patient, put, writing

pytestmark = pytest.mark.anyio

CONSENT = ResourceKey("Consent", "c1")


def words(events: Events) -> list[str]:
    return sorted(event["outcomeDesc"] for event in events.values())


def assert_numbered_without_gap(events: Events) -> None:
    """Each writer counts 1, 2, 3 …, and each event bears its own place as its id."""
    for writer, places in groupby(sorted(events), key=lambda place: place[0]):
        assert [number for _, number in places] == list(range(1, sum(w == writer for w, _ in events) + 1))
    assert all(event["id"] == f"{writer}-{number}" for (writer, number), event in events.items())


async def test_what_was_appended_is_there_when_the_call_returns(clinic: Opened) -> None:
    await clinic.audit.append([Noted("read"), Noted("read again")])

    assert words(await clinic.events()) == ["read", "read again"]


async def test_nothing_to_append_is_no_fault(clinic: Opened) -> None:
    await clinic.audit.append([])

    assert await clinic.events() == {}


async def test_events_of_writes_and_reads_are_numbered_without_gap(clinic: Opened) -> None:
    await asyncio.gather(
        *(clinic.audit.append([Noted(f"read{n}")]) for n in range(30)),
        *(clinic.resources.commit([writing(patient(f"p{n}")).recording(Noted(f"write{n}"))]) for n in range(30)),
    )
    await clinic.audit.append([Noted("last")])

    events = await clinic.events()

    assert len(events) == 61
    assert_numbered_without_gap(events)


async def test_an_aborted_commit_leaves_neither_an_event_nor_a_gap(clinic: Opened) -> None:
    [first] = await put(clinic, patient("ann", "A"))
    await put(clinic, patient("ann", "B"))
    await clinic.resources.commit([writing(patient("ben")).recording(Noted("ben"))])

    with pytest.raises(VersionConflictError):
        await clinic.resources.commit([writing(patient("ann", "C"), first).recording(Noted("refused"))])
    await clinic.resources.commit([writing(patient("carl")).recording(Noted("carl"), Noted("carl too"))])

    events = await clinic.events()
    assert words(events) == ["ben", "carl", "carl too"]
    assert_numbered_without_gap(events)


async def test_a_disclosure_on_an_epoch_that_moved_is_not_recorded_and_may_not_be_answered(clinic: Opened) -> None:
    given = HeadMove("ann", CONSENT, 1, in_force=True)
    await clinic.resources.commit([writing(patient("ann")).moving_head(given)])
    basis = ConsentBasis(CONSENT, 1, "ann", 2)
    await clinic.audit.append([Noted("while it held", (basis,))])
    withdrawn = HeadMove("ann", CONSENT, 2, in_force=False)
    await clinic.resources.commit([writing(patient("ben")).moving_head(withdrawn)])

    with pytest.raises(StaleBasisError):
        await clinic.audit.append([Noted("too late", (basis,))])

    assert words(await clinic.events()) == ["while it held"]


async def test_a_stale_basis_hinders_no_other_call_that_is_recorded_with_it(clinic: Opened) -> None:
    await put(clinic, patient("ann"))
    good, stale = ConsentBasis(CONSENT, 1, "ann", 1), ConsentBasis(CONSENT, 1, "ann", 7)
    unknown = ConsentBasis(CONSENT, 1, "nobody", 1)

    outcomes = await asyncio.gather(
        clinic.audit.append([Noted("a", (good,))]),
        clinic.audit.append([Noted("b"), Noted("c", (stale,))]),
        clinic.audit.append([Noted("d", (unknown,))]),
        clinic.audit.append([Noted("e")]),
        return_exceptions=True,
    )

    assert [type(one) for one in outcomes] == [type(None), StaleBasisError, StaleBasisError, type(None)]
    events = await clinic.events()
    assert words(events) == ["a", "e"]
    assert_numbered_without_gap(events)


async def test_an_event_is_a_resource_that_is_read_by_its_id(clinic: Opened) -> None:
    await clinic.audit.append([Noted("read", patient="ann")])
    [(writer, number)] = await clinic.events()

    event = await clinic.resources.read(ResourceKey("AuditEvent", f"{writer}-{number}"))

    assert event is not None
    assert (event.version, event.resource["outcomeDesc"], event.subjects) == (1, "read", ("ann",))
    assert "Patient/ann" in event.access
    for other in (f"{writer}-{number + 1}", f"{writer}-0{number}", "nobody-1", writer, f"-{number}", f"{writer}-x"):
        assert await clinic.resources.read(ResourceKey("AuditEvent", other)) is None


async def test_events_are_found_as_soon_as_they_are_durable(clinic: Opened) -> None:
    query = parse("AuditEvent", [("patient", "Patient/ann")])
    for number in range(8):
        await clinic.audit.append([Noted(f"ann{number}", patient="ann"), Noted("ben", patient="ben")])
    await clinic.resources.commit([writing(patient("ann")).recording(Noted("written", patient="ann"))])

    found: list[str] = []
    position = None
    for _ in range(20):
        page = await clinic.resources.find(query, position, 10)
        found += [event.resource["outcomeDesc"] for event in page.matches]
        position = page.position
        if position is None:
            break

    assert sorted(found) == sorted([*(f"ann{number}" for number in range(8)), "written"])


async def test_many_events_of_one_instant_are_paged_each_once(clinic: Opened) -> None:
    """What is flushed together has one instant: a page of a search alone leaves an event per patient."""
    query = parse("AuditEvent", [("patient", "Patient/ann")])
    await clinic.audit.append([Noted(f"ann{number}", patient="ann") for number in range(65)])

    found: list[str] = []
    position = None
    for _ in range(20):
        page = await clinic.resources.find(query, position, 10)
        found += [event.resource["outcomeDesc"] for event in page.matches]
        position = page.position
        if position is None:
            break

    assert sorted(found) == sorted(f"ann{number}" for number in range(65))
