"""What a search may see, before it is made."""

from dataclasses import replace

import pytest

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.search.parse import parse
from fhir_server.search.tree import IdIn, InCompartment, Query
from fhir_server.smart.bounds import Bounds, patients_named
from fhir_server.smart.reaching import NoTies
from fhir_server.smart.rights import rights_of
from tests.fakes.clock import NOW
from tests.unit.engine.calls import holder

pytestmark = pytest.mark.anyio

DOCTOR = replace(holder("user/*.cruds"), role="practitioner", fhir_user="Practitioner/me")
PATIENT = replace(holder("user/*.cruds"), role="patient", fhir_user="Patient/ann", patient="ann")


async def bound(who: Principal, query: Query) -> list[object]:
    rights = rights_of(who)
    right = rights.on("s", query.type)
    assert right is not None
    call = Call(Interaction.SEARCH_TYPE, who, NOW, query.type)
    return [each.condition for each in (await Bounds(NoTies()).of(call, rights, right, query)).mandates]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (("subject", "Patient/ann,Patient/ben"), {"ann", "ben"}),
        (("subject", "Device/1"), None),
        (("subject", "Patient/ann,Device/1"), None),
        (("performer", "Patient/ann"), {"ann"}),
        (("status", "final"), None),
    ],
)
def test_a_search_names_patients_where_nothing_else_can_match(asked: tuple[str, str], named: set[str] | None) -> None:
    assert patients_named(parse("Observation", [asked])) == named


async def test_without_knowledge_of_ties_nobody_is_tied_to_anybody() -> None:
    nothing = [IdIn(frozenset())]

    assert await bound(DOCTOR, parse("Observation", [])) == nothing
    assert await bound(DOCTOR, parse("Observation", [("subject", "Patient/ann")])) == nothing


async def test_a_patient_searches_their_own_compartment_and_what_lies_in_none_match_by_match() -> None:
    stranger = replace(PATIENT, patient=None, fhir_user=None)

    assert await bound(PATIENT, parse("Observation", [])) == [InCompartment("Patient/ann")]
    assert await bound(PATIENT, parse("Device", [])) == []
    assert await bound(stranger, parse("Device", [])) == [IdIn(frozenset())]
