"""What ties a person to a patient: whatever the time, whoever wrote it, however often it was changed."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from fhir_server.engine.call import Call, Interaction, Trace
from fhir_server.engine.change import Change
from fhir_server.engine.stored import Stored
from fhir_server.fhir.compartments import subjects
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.smart.authorship import SERVER, author_of
from fhir_server.smart.rights import rights_of
from fhir_server.smart.ties import RecordedTies, TiePolicy
from tests.fakes.clinic import BASE, FakeClinic
from tests.fakes.clock import NOW
from tests.people import TASK, appointment, care_team, complaint, encounter
from tests.unit.engine.calls import holder

pytestmark = pytest.mark.anyio

ME, OTHER, DESK = "Practitioner/me", "Practitioner/other", "issuer desk"
PRACTITIONER = replace(holder("user/*.cruds"), role="practitioner", fhir_user=ME)


@dataclass
class Record:
    clinic: FakeClinic
    ties: RecordedTies

    async def write(self, resource: Json, author: str = DESK) -> Stored:
        """The next version under this id."""
        resource = {"id": "t", **resource}
        key = ResourceKey(resource["resourceType"], resource["id"])
        previous = await self.clinic.resources.read(key)
        change = Change(key, resource, previous, subjects(resource, BASE), author=author)
        [stored] = await self.clinic.resources.commit([change])
        return stored

    async def tied(
        self, at: timedelta = timedelta(), patient: str = "ann", role: str = "practitioner", **more: str
    ) -> bool:
        principal = replace(PRACTITIONER, role=role, **more)  # type: ignore[arg-type]  # by name, as the class has them
        call = Call(Interaction.READ, principal, NOW + at, "Observation", "o")
        await self.ties.know(call, rights_of(principal), [patient])
        return call.trace.ties[patient] is not None

    async def glass(self) -> bool:
        call = Call(Interaction.READ, PRACTITIONER, NOW, "Observation", "o")
        await self.ties.know(call, rights_of(PRACTITIONER), ["ann"])
        return bool(call.trace.glass)


@pytest.fixture
def record() -> Record:
    clinic = FakeClinic()
    return Record(clinic, RecordedTies(clinic.resources, TiePolicy(), BASE))


def review(who: str = ME) -> Json:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK, "code": "break-glass-review"}]},
        "for": {"reference": "Patient/ann"},
        "requester": {"reference": who},
        "restriction": {"period": {"start": instant(NOW), "end": instant(NOW + timedelta(hours=1))}},
    }


DAY = timedelta(days=1)


@pytest.mark.parametrize(("at", "ties"), [(-91, False), (-89, True), (0, True), (90, True), (91, False)])
async def test_an_appointment_ties_around_its_dates(record: Record, at: int, *, ties: bool) -> None:
    await record.write(appointment("ann", ME, NOW))

    assert await record.tied(at * DAY) is ties
    assert not await record.tied(at * DAY, patient="ben")


@pytest.mark.parametrize(
    ("period", "at", "ties"),
    [
        ({}, 0, True),
        ({}, 89, True),
        ({}, 91, False),
        ({"start": "2026-01-01", "end": "2026-01-01"}, 0, True),
        ({"start": "2026-01-01", "end": "2026-01-01"}, 30, False),
        ({"start": "2026-01-01", "end": "2026-03-01"}, 30, True),
        ({"start": "2026-01-01"}, 30, False),
        ({"end": "2026-01-01"}, 0, True),
    ],
)
async def test_an_encounter_without_dates_is_taken_to_be_when_it_was_written(
    record: Record, period: Json, at: int, *, ties: bool
) -> None:
    await record.write(encounter("ann", ME, period=period))

    assert await record.tied(at * DAY) is ties


@pytest.mark.parametrize(
    ("period", "at", "ties"),
    [
        ({}, 3650, True),
        ({"start": "2026-03-20"}, 0, False),
        ({"start": "2026-03-20"}, 7, True),
        ({"end": "2026-03-20"}, 7, False),
        ({"end": "2026-03-20"}, 6, True),
    ],
)
async def test_a_care_team_ties_from_its_start_to_its_end_and_no_day_longer(
    record: Record, period: Json, at: int, *, ties: bool
) -> None:
    await record.write(care_team("ann", ME, period=period))

    assert await record.tied(at * DAY) is ties


async def test_a_member_belongs_to_the_team_for_a_time_of_their_own(record: Record) -> None:
    member = {"member": {"reference": ME}, "period": {"start": "2026-03-20", "end": "2026-03-21"}}
    await record.write(care_team("ann", ME, participant=[member]))

    assert [await record.tied(days * DAY) for days in (0, 6, 8)] == [False, True, False]


@pytest.mark.parametrize("author", [ME, ""])
async def test_what_nobody_else_wrote_ties_nobody(record: Record, author: str) -> None:
    for resource in (appointment("ann", ME, NOW), encounter("ann", ME), care_team("ann", ME)):
        await record.write(resource, author)

    assert not await record.tied()


async def test_in_a_clinic_of_one_it_does(record: Record) -> None:
    record.ties = RecordedTies(record.clinic.resources, TiePolicy(self_made=True), BASE)
    await record.write(encounter("ann", ME), ME)

    assert await record.tied()


async def test_who_writes_on_top_of_it_keeps_it_as_somebody_else_wrote_it(record: Record) -> None:
    await record.write(encounter("ann", ME, period={"start": "2026-03-01", "end": "2026-03-01"}))
    longer = {"start": "2026-03-01", "end": "2030-01-01"}
    await record.write(encounter("ann", ME, "finished", period=longer), ME)
    await record.write(encounter("ann", ME, "finished", period=longer, priority={"text": "x"}), ME)

    assert await record.tied(30 * DAY)
    assert not await record.tied(120 * DAY)


async def test_who_moves_it_to_another_patient_ties_themselves_to_neither(record: Record) -> None:
    await record.write(encounter("ann", ME))
    await record.write(encounter("ben", ME), ME)

    assert not await record.tied()
    assert not await record.tied(patient="ben")


async def test_who_puts_themselves_into_it_ties_nobody(record: Record) -> None:
    await record.write(encounter("ann", OTHER))
    await record.write(encounter("ann", ME), ME)

    assert not await record.tied()


async def test_who_leaves_it_comes_back_by_somebody_else_alone(record: Record) -> None:
    await record.write(encounter("ann", ME))
    await record.write(encounter("ann", OTHER), ME)
    await record.write(encounter("ann", ME), ME)
    assert not await record.tied()

    await record.write(encounter("ann", ME), OTHER)
    assert await record.tied()


async def test_who_cancels_it_cannot_take_that_back(record: Record) -> None:
    await record.write(encounter("ann", ME))
    await record.write(encounter("ann", ME, "cancelled"), OTHER)
    await record.write(encounter("ann", ME), ME)

    assert not await record.tied()


async def test_one_tie_among_many_that_do_not_count_is_enough(record: Record) -> None:
    await record.write({**appointment("ann", ME, NOW), "id": "good"})
    for number in range(60):
        await record.write({**appointment("ann", ME, NOW, "cancelled"), "id": f"bad-{number}"})

    assert await record.tied()


async def test_what_was_found_is_a_hint_and_no_more(record: Record) -> None:
    team = care_team("ann", ME)
    await record.write(team)
    assert await record.tied()

    await record.write({**team, "status": "inactive"})

    assert not await record.tied()


async def test_a_hint_that_is_something_else_by_now_ties_nobody(record: Record) -> None:
    task = complaint("ann", ME, NOW - DAY, NOW + DAY)
    await record.write(task)
    assert await record.tied(role="clinical-lead")

    await record.write({**task, "code": {"text": "Something else"}})

    assert not await record.tied(role="clinical-lead")


async def test_only_so_many_hints_are_kept_and_all_are_tied_none_the_less(record: Record) -> None:
    few = Record(record.clinic, RecordedTies(record.clinic.resources, TiePolicy(), BASE, most_hints=1))
    for name in ("ann", "ben"):
        await record.write({**care_team(name, ME), "id": f"of-{name}"})

    assert [await few.tied(patient=name) for name in ("ann", "ben", "ann")] == [True, True, True]
    assert len(few.ties._hints) == 1


async def test_what_does_not_count_is_looked_through_only_so_far(record: Record) -> None:
    await record.write({**appointment("ann", ME, NOW), "id": "good"})
    for number in range(500):
        await record.write({**appointment("ann", ME, NOW, "cancelled"), "id": f"bad-{number}"})

    assert not await record.tied()


async def test_who_is_nobody_treats_nobody(record: Record) -> None:
    nobody = replace(PRACTITIONER, fhir_user=None)
    await record.write(care_team("ann", ME))

    asked = Call(Interaction.SEARCH_TYPE, nobody, NOW, "Observation")

    assert await record.ties.patients(asked, rights_of(nobody)) == ()


async def test_a_broken_glass_is_known_beside_a_tie_and_looked_up_once(record: Record) -> None:
    await record.write(care_team("ann", ME))
    await record.write({**review(), "id": "glass"}, SERVER)
    others = (PRACTITIONER, replace(PRACTITIONER, fhir_user=OTHER), replace(PRACTITIONER, role="clinical-lead"))
    call, other, desk = (Call(Interaction.READ, who, NOW, "Observation", "o") for who in others)

    assert await record.ties.broken(call, "ann") == "Task/glass"
    assert await record.ties.broken(call, "ben") is None
    assert [await record.ties.broken(each, "ann") for each in (other, desk)] == [None, None]
    await record.write({**review(), "id": "glass", "status": "rejected"}, OTHER)
    assert await record.ties.broken(call, "ann") == "Task/glass", "for this call it was looked up"
    assert await record.ties.broken(replace(call, trace=Trace()), "ann") is None


async def test_an_absolute_reference_to_this_server_ties_and_one_to_another_does_not(record: Record) -> None:
    await record.write(care_team("ann", f"{BASE}/{ME}"))
    assert await record.tied()

    await record.write(care_team("ann", f"http://elsewhere/fhir/{ME}"))
    assert not await record.tied()


async def test_nobody_is_tied_without_being_somebody(record: Record) -> None:
    await record.write(care_team("ann", ME))

    assert not await record.tied(fhir_user=None)  # type: ignore[arg-type]  # a token need not say who its holder is
    assert not await record.tied(fhir_user=f"http://elsewhere/fhir/{ME}")
    assert not await record.tied(role="receptionist")


async def test_a_broken_glass_ties_until_its_end_if_the_server_wrote_it(record: Record) -> None:
    await record.write(review(), SERVER)

    minute = timedelta(minutes=1)
    assert [await record.tied(minutes * minute) for minutes in (-1, 0, 59, 61)] == [False, True, True, False]
    assert await record.glass()
    assert not await record.tied(fhir_user=OTHER)


async def test_a_review_that_somebody_else_wrote_or_lengthened_opens_nothing_more(record: Record) -> None:
    await record.write(review(), OTHER)
    assert not await record.tied()

    await record.write({**review(), "id": "own"}, SERVER)
    endless = {"period": {"start": "2020-01-01", "end": "2099-01-01"}}
    await record.write({**review(), "id": "own", "restriction": endless}, OTHER)
    assert await record.tied()
    assert not await record.tied(timedelta(hours=2))


@pytest.mark.parametrize(("status", "ties"), [("completed", True), ("rejected", False), ("cancelled", False)])
async def test_a_review_that_is_refused_ends_it(record: Record, status: str, *, ties: bool) -> None:
    await record.write(review(), SERVER)
    await record.write({**review(), "status": status}, OTHER)

    assert await record.tied() is ties


async def test_a_tie_counts_before_a_broken_glass(record: Record) -> None:
    await record.write({**review(), "id": "glass"}, SERVER)
    assert await record.glass()

    await record.write(care_team("ann", ME))

    assert not await record.glass()


@pytest.mark.parametrize(("at", "ties"), [(-1, False), (1, True), (31, False)])
async def test_a_complaint_ties_the_lead_to_one_patient_for_a_time(record: Record, at: int, *, ties: bool) -> None:
    await record.write(complaint("ann", ME, NOW, NOW + 30 * DAY))

    assert await record.tied(at * DAY, role="clinical-lead") is ties
    assert not await record.tied(at * DAY), "it ties nobody who treats"


async def test_a_complaint_without_an_end_or_written_by_oneself_ties_nobody(record: Record) -> None:
    endless = complaint("ann", ME, NOW, NOW + DAY)
    endless["restriction"]["period"].pop("end")
    await record.write({**endless, "id": "endless"})
    await record.write(complaint("ann", ME, NOW, NOW + DAY), ME)

    assert not await record.tied(role="clinical-lead")


RELATED = {"resourceType": "RelatedPerson", "id": "rel", "active": True, "patient": {"reference": "Patient/ann"}}


@pytest.mark.parametrize(
    ("change", "author", "ties"),
    [
        ({}, DESK, True),
        ({"active": False}, DESK, False),
        ({"period": {"end": "2020-01-01"}}, DESK, False),
        ({"patient": {"reference": "Patient/ben"}}, DESK, False),
        ({}, "RelatedPerson/rel", False),
    ],
)
async def test_a_related_person_acts_while_the_record_says_so(
    record: Record, change: Json, author: str, *, ties: bool
) -> None:
    await record.write({**RELATED, **change}, author)

    assert await record.tied(role="related-person", fhir_user="RelatedPerson/rel") is ties
    assert not await record.tied(role="related-person", fhir_user="RelatedPerson/another")


async def test_who_is_related_ties_themselves_and_nobody_else(record: Record) -> None:
    other = await record.write({**RELATED, "id": "other"})
    me = replace(PRACTITIONER, role="related-person", fhir_user="RelatedPerson/me")
    call = Call(Interaction.READ, me, NOW, "RelatedPerson", "other")

    await record.ties.know(call, rights_of(me), ["ann"], other)

    assert call.trace.ties == {"ann": None}


async def test_too_many_patients_at_once_are_refused(record: Record) -> None:
    call = Call(Interaction.READ, PRACTITIONER, NOW, "Task", "o")

    with pytest.raises(TooCostlyError):
        await record.ties.know(call, rights_of(PRACTITIONER), [f"p{number}" for number in range(301)])


async def test_all_whom_one_treats_are_listed_unless_they_are_too_many(record: Record) -> None:
    asked = [Call(Interaction.SEARCH_TYPE, PRACTITIONER, NOW, "Observation") for _ in range(2)]
    for number in range(100):
        await record.write({**care_team(f"p{number}", ME), "id": f"t{number}"})
    await record.write({**care_team("own", ME), "id": "own"}, ME)
    await record.write({**appointment("past", ME, NOW - 100 * DAY), "id": "past"})

    listed = await record.ties.patients(asked[0], rights_of(PRACTITIONER))
    await record.write({**care_team("more", ME), "id": "more"})

    assert listed is not None
    assert set(listed) == {f"p{number}" for number in range(100)} == asked[0].trace.ties.keys()
    assert await record.ties.patients(asked[1], rights_of(PRACTITIONER)) is None


def test_authors_are_told_apart_by_person_then_by_issuer_and_subject() -> None:
    assert author_of(PRACTITIONER) == ME
    assert author_of(holder()) == "issuer somebody"
    assert author_of(replace(holder(), issuer="")) == SERVER
