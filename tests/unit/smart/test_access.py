"""The Access step: each of its phases refuses by itself, for it may be the only one that a call passes."""

from dataclasses import replace

import pytest

from fhir_server.engine.call import ANONYMOUS, Call, Interaction, Principal
from fhir_server.engine.change import Change
from fhir_server.engine.stored import Stored, truth
from fhir_server.fhir.compartments import memberships, subjects
from fhir_server.kernel.errors import FhirError, ForbiddenError, NotFoundError, UnauthenticatedError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from fhir_server.search.tree import InCompartment
from fhir_server.smart.access import Access, may_name, may_read, reaches_all
from tests.fakes.clinic import BASE
from tests.fakes.clock import NOW
from tests.unit.engine.calls import call, holder

pytestmark = pytest.mark.anyio

ACCESS = Access(BASE)
ANN = "Patient/ann"


def stored(resource: Json) -> Stored:
    key = ResourceKey(resource["resourceType"], resource["id"])
    return Stored(key, 1, 1, NOW, truth(key, resource), memberships(resource, BASE), subjects(resource, BASE))


def observation(of: str | None, id: str = "o1") -> Json:
    found = {"resourceType": "Observation", "id": id, "status": "final"}
    return {**found, "subject": {"reference": of}} if of else found


def change(new: Json | None, old: Json | None = None) -> Change:
    resource = new or old
    assert resource is not None
    key = ResourceKey(resource["resourceType"], resource["id"])
    return Change(key, new, stored(old) if old else None)


def of_ann(*scopes: str) -> Principal:
    return holder(*scopes, patient="ann")


def asking(interaction: Interaction, principal: Principal, type: str = "Observation") -> Call:
    operation = "withdraw" if interaction is Interaction.OPERATION else None
    return replace(call(interaction, type, "o1", principal), operation=operation)


async def test_r_smart_043_without_a_token_nothing_is_tried() -> None:
    for interaction in Interaction:
        with pytest.raises(UnauthenticatedError):
            await ACCESS.admit(asking(interaction, ANONYMOUS))


@pytest.mark.parametrize(
    ("letter", "interactions"),
    [
        ("c", {Interaction.CREATE}),
        ("r", {Interaction.READ, Interaction.VREAD, Interaction.HISTORY_INSTANCE}),
        ("u", {Interaction.UPDATE, Interaction.PATCH}),
        ("d", {Interaction.DELETE}),
        (
            "s",
            {
                Interaction.SEARCH_TYPE,
                Interaction.SEARCH_SYSTEM,
                Interaction.HISTORY_TYPE,
                Interaction.HISTORY_SYSTEM,
            },
        ),
    ],
)
async def test_r_smart_047_each_letter_admits_its_interactions_and_no_other(
    letter: str, interactions: set[Interaction]
) -> None:
    by_entry = {Interaction.BATCH, Interaction.TRANSACTION}
    admitted = set()
    for interaction in Interaction:
        try:
            await ACCESS.admit(asking(interaction, holder(f"user/Observation.{letter}")))
            admitted.add(interaction)
        except ForbiddenError:
            pass

    assert admitted == interactions | by_entry


async def test_an_operation_needs_its_letter_and_a_role_that_has_it() -> None:
    async def admitted(principal: Principal) -> bool:
        try:
            await ACCESS.admit(asking(Interaction.OPERATION, principal, "Consent"))
        except ForbiddenError:
            return False
        return True

    assert [letter for letter in "cruds" if await admitted(holder(f"user/Consent.{letter}"))] == ["u"]
    assert not await admitted(holder("user/Observation.u"))
    assert await admitted(replace(holder("user/Consent.u"), role="privacy-officer"))
    assert not await admitted(replace(holder("user/Consent.u"), role="auditor"))


async def test_r_smart_055_a_type_that_is_not_granted_is_403() -> None:
    with pytest.raises(ForbiddenError):
        await ACCESS.admit(asking(Interaction.SEARCH_TYPE, of_ann("patient/Patient.rs")))
    with pytest.raises(ForbiddenError):
        await ACCESS.admit(asking(Interaction.READ, of_ann()))


async def test_r_smart_053_a_patient_scope_without_a_patient_reaches_nobody() -> None:
    with pytest.raises(ForbiddenError):
        await ACCESS.admit(asking(Interaction.READ, holder("patient/*.cruds")))
    assert await ACCESS.disclose(asking(Interaction.READ, holder("patient/*.rs")), stored(observation(ANN))) is None


async def test_r_smart_052_a_patients_search_is_bound_to_the_compartment() -> None:
    query = parse("Observation", [("subject", "Patient/ben")])

    bound = await ACCESS.narrow(asking(Interaction.SEARCH_TYPE, of_ann("patient/Observation.s")), query)
    free = await ACCESS.narrow(asking(Interaction.SEARCH_TYPE, holder("user/Observation.s")), query)

    assert [mandate.condition for mandate in bound.mandates] == [InCompartment(ANN)]
    assert bound.filters == query.filters
    assert free == query


async def test_r_smart_054_shared_types_are_read_and_others_outside_compartments_are_not() -> None:
    principal = of_ann("patient/*.rs")

    shared = parse("Organization", [])
    assert await ACCESS.narrow(asking(Interaction.SEARCH_TYPE, principal, "Organization"), shared) == shared
    organization = stored({"resourceType": "Organization", "id": "o1", "name": "Clinic"})
    assert await ACCESS.disclose(asking(Interaction.READ, principal, "Organization"), organization) is organization
    with pytest.raises(ForbiddenError):
        await ACCESS.narrow(asking(Interaction.SEARCH_TYPE, principal, "Substance"), parse("Substance", []))
    substance = stored({"resourceType": "Substance", "id": "o1"})
    assert await ACCESS.disclose(asking(Interaction.READ, principal, "Substance"), substance) is None


async def test_r_smart_052_what_lies_in_another_compartment_does_not_exist() -> None:
    reading = asking(Interaction.READ, of_ann("patient/Observation.r"))

    assert await ACCESS.disclose(reading, stored(observation(ANN))) is not None
    assert await ACCESS.disclose(reading, stored(observation(f"{BASE}/{ANN}"))) is not None
    for other in ("Patient/ben", None, "http://elsewhere/fhir/Patient/ann", "Patient/ann2"):
        assert await ACCESS.disclose(reading, stored(observation(other))) is None


async def test_r_smart_052_a_write_may_lie_outside_neither_before_nor_after() -> None:
    updating = asking(Interaction.UPDATE, of_ann("patient/Observation.cud"))
    mine, theirs = observation(ANN), observation("Patient/ben")

    good = change(mine, mine)
    assert await ACCESS.prepare(updating, good) == good.written_by("issuer somebody")
    with pytest.raises(ForbiddenError):
        await ACCESS.prepare(updating, change(theirs, mine))
    with pytest.raises(ForbiddenError):
        await ACCESS.prepare(updating, change(theirs))
    with pytest.raises(NotFoundError):
        await ACCESS.prepare(updating, change(mine, theirs))
    deleting = asking(Interaction.DELETE, of_ann("patient/Observation.d"))
    with pytest.raises(NotFoundError):
        await ACCESS.prepare(deleting, change(None, theirs))


async def test_a_patients_app_does_not_write_what_is_shared() -> None:
    creating = asking(Interaction.CREATE, of_ann("patient/*.cud"), "Organization")

    with pytest.raises(ForbiddenError):
        await ACCESS.prepare(creating, change({"resourceType": "Organization", "id": "o1", "name": "Mine"}))


async def test_each_phase_alone_refuses_a_holder_without_any_scope() -> None:
    """No scope means nothing, wherever a call comes in: also where `admit` was not asked, as by an operation."""
    for principal in (of_ann(), holder(), ANONYMOUS, holder(patient="None"), of_ann("patient/Patient.cruds")):
        for type in ("Observation", "Organization"):
            searching = asking(Interaction.SEARCH_TYPE, principal, type)
            with pytest.raises(FhirError):
                await ACCESS.narrow(searching, parse(type, []))
        reading = asking(Interaction.READ, principal)
        assert await ACCESS.disclose(reading, stored(observation(ANN))) is None
        creating = asking(Interaction.CREATE, principal)
        with pytest.raises(FhirError):
            await ACCESS.prepare(creating, change(observation(ANN)))


async def test_r_smart_048_a_write_is_answered_with_the_resource_only_to_who_may_read_it() -> None:
    mine, theirs = stored(observation(ANN)), stored(observation("Patient/ben"))

    def may(principal: Principal, what: Stored) -> bool:
        return may_read(asking(Interaction.UPDATE, principal), what)

    assert not may(holder("user/Observation.cud"), mine)
    assert may(holder("user/Observation.r"), mine)
    assert not may(of_ann("patient/Observation.cud"), mine)
    assert may(of_ann("patient/Observation.r"), mine)
    assert not may(of_ann("patient/Observation.r"), theirs)
    assert not may(of_ann("patient/Observation.s"), mine)


async def test_may_read_needs_a_patient_in_context() -> None:
    nobody = replace(holder("patient/Observation.r"), patient=None)

    assert not may_read(asking(Interaction.UPDATE, nobody), stored(observation("Patient/None")))


@pytest.mark.parametrize(
    ("key", "access", "named"),
    [
        (ResourceKey("Patient", "ann"), ("Patient/ann",), True),
        (ResourceKey("Observation", "o1"), ("Patient/ann", "Patient/ben"), True),
        (ResourceKey("Practitioner", "p"), (), True),
        (ResourceKey("Patient", "ben"), ("Patient/ben",), False),
        (ResourceKey("Device", "d"), (), False),
    ],
)
async def test_a_reference_tells_a_patients_app_of_nothing_that_it_may_not_see(
    key: ResourceKey, access: tuple[str, ...], *, named: bool
) -> None:
    assert may_name(asking(Interaction.CREATE, of_ann("patient/*.cruds")), key, access) is named
    assert may_name(asking(Interaction.CREATE, holder("system/Observation.c")), key, access)


@pytest.mark.parametrize(
    ("scope", "whole"),
    [("system/Medication.rs", True), ("system/Medication.rs?code=x", False), ("system/Patient.rs", False)],
)
def test_a_search_reaches_all_of_a_type_where_no_scope_narrows_it(scope: str, *, whole: bool) -> None:
    asking = call(Interaction.SEARCH_TYPE, "Medication", principal=holder(scope))

    assert reaches_all(asking, "Medication") is whole
