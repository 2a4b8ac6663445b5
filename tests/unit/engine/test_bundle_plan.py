"""What a transaction will write, before anything is written."""

from collections.abc import Sequence
from itertools import count

import pytest

from fhir_server.engine.bundle_entries import Entry
from fhir_server.engine.bundle_plan import Planned, Planning
from fhir_server.engine.bundle_urls import Target
from fhir_server.engine.call import Interaction
from fhir_server.kernel.errors import ConflictError, FhirError, InvalidRequestError, VersionConflictError
from fhir_server.kernel.identity import ResourceKey
from tests.unit.engine.calls import Running, call, patient, running

pytestmark = pytest.mark.anyio

TRANSACTION = call(Interaction.TRANSACTION, None)
MET = "family=Chalmers"
PATIENTS = Target("Patient", "", "Patient")
URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"


def planning(at: Running, *, several: bool = False) -> Planning:
    numbers = count(1)
    return Planning(at.engine, lambda: f"new{next(numbers)}", at.clinic.clock, delete_several=several)


async def planned(at: Running, *entries: Entry) -> Sequence[Planned]:
    return await planning(at).plan(TRANSACTION, entries)


async def test_reads_are_not_planned_and_a_create_gets_a_fresh_id() -> None:
    found = await planned(
        running(),
        Entry(0, "GET", Target("Patient/7", "", "Patient", "7")),
        Entry(1, "POST", PATIENTS, resource=patient()),
    )

    assert [(one.entry.index, one.key) for one in found] == [(1, ResourceKey("Patient", "new1"))]


async def test_r_fhir_021_what_exists_is_planned_under_its_own_key() -> None:
    at = running()
    there = await at.engine.create(call(Interaction.CREATE), patient())

    [one] = await planned(at, Entry(0, "POST", PATIENTS, criteria=MET, resource=patient(), full_url=URN))

    assert (one.existing, one.key) == (there, there.key)
    assert (await planning(at).links(TRANSACTION, [one])).absolute == {URN: str(there.key)}


async def test_r_fhir_010_a_condition_expects_what_the_plan_saw() -> None:
    [one] = await planned(running(), Entry(0, "PUT", PATIENTS, criteria=MET, resource=patient()))

    assert one.condition is not None
    assert one.condition.expected == frozenset()


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Entry(3, "PUT", PATIENTS, criteria=MET, resource=patient("taken")), ConflictError),
        (Entry(3, "PUT", PATIENTS, criteria=MET, resource=patient(), if_match=1), VersionConflictError),
        (Entry(3, "PUT", PATIENTS, criteria="colour=red", resource=patient()), InvalidRequestError),
    ],
)
async def test_a_fault_names_its_entry(bad: Entry, error: type[FhirError]) -> None:
    at = running()
    await at.engine.update(call(Interaction.UPDATE, id="taken"), patient("taken", "Other"))

    with pytest.raises(error) as refusal:
        await planned(at, bad)

    assert (refusal.value.issues[0].expression or "").startswith("Bundle.entry[3]")


async def test_r_fhir_020_the_same_criteria_twice_are_the_same_identity_twice() -> None:
    made = [
        Entry(index, "POST", PATIENTS, criteria=text, resource=patient()) for index, text in ((0, MET), (1, f"?{MET}"))
    ]

    with pytest.raises(InvalidRequestError):
        await planned(running(), *made)
