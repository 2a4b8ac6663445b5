"""Chains, `_has`, hierarchies and lists on a clinic in memory: what is found, and what only seems to be there."""

import pytest

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.limits import Limits
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ForbiddenError, TooCostlyError
from fhir_server.search.parse import parse
from fhir_server.smart.access import Access
from tests.fakes.clinic import BASE
from tests.unit.engine.calls import SYSTEM, Running, call, holder
from tests.unit.engine.connected import Hiding, filled, observation, resource, to

pytestmark = pytest.mark.anyio

SEARCH = Interaction.SEARCH_TYPE


async def found(at: Running, type: str, *asked: str, principal: Principal = SYSTEM) -> list[str]:
    query = parse(
        type, [(name, value) for name, _, value in (each.partition("=") for each in asked)], at.engine.language
    )
    page = await at.engine.search(call(SEARCH, type, principal=principal), query)
    return [stored.key.id for stored in page.matches]


@pytest.mark.parametrize(
    ("type", "asked", "expected"),
    [
        ("Observation", ["subject:Patient.name=berg"], ["o1", "o2"]),
        ("Observation", ["subject.name=berg"], ["o1", "o2"]),
        ("Observation", ["patient.gender=male"], ["o2"]),
        ("Observation", ["patient.gender:not=male"], ["o1", "o3"]),
        ("Observation", ["patient.gender:missing=true"], ["o3"]),
        ("Observation", ["subject:Patient.name=berg", "code=weight"], ["o1"]),
        ("Observation", ["subject:Patient.name=berg", "subject:Patient.gender=male"], ["o2"]),
        ("Observation", ["subject:Patient.name=nobody"], []),
        ("Observation", ["patient.general-practitioner.name=house"], ["o1"]),
        ("Observation", ["patient._has:Group:member:_id=g"], ["o3"]),
        ("Patient", ["_has:Observation:patient:code=weight"], ["ann", "carl"]),
        ("Patient", ["_has:Observation:patient:code=weight", "name=berg"], ["ann"]),
        ("Patient", ["_has:Observation:patient:performer:Practitioner.name=house"], ["ben"]),
        ("Patient", ["_has:Observation:patient:code=nothing"], []),
        ("Patient", ["_has:Observation:patient:code=weight", "_id=carl,ben"], ["carl"]),
        ("Practitioner", ["_has:Schedule:actor:_has:Slot:schedule:status=free"], ["p"]),
        ("Practitioner", ["_has:Schedule:actor:_has:Slot:schedule:status=busy"], []),
        ("Patient", ["organization:below=trust"], ["ben"]),
        ("Patient", ["organization:below=Organization/ward"], ["ben"]),
        ("Patient", ["organization:below=nothing"], []),
        ("Organization", ["partof:above=ward"], ["clinic", "ward"]),
        ("Patient", ["_list=l"], ["ben"]),
        ("Observation", ["_list=l,nothing"], ["o1"]),
        ("Patient", ["_list=nothing"], []),
        ("QuestionnaireResponse", ["questionnaire.title=skin"], ["r1", "r2"]),
        ("QuestionnaireResponse", ["questionnaire.version=2"], ["r2"]),
        ("Questionnaire", ["_has:QuestionnaireResponse:questionnaire:status=completed"], ["q1"]),
        ("Questionnaire", ["_has:QuestionnaireResponse:questionnaire:status=in-progress"], ["q1", "q2"]),
    ],
)
async def test_r_fhir_048_what_other_resources_decide_is_looked_up(
    type: str, asked: list[str], expected: list[str]
) -> None:
    assert await found(await filled(), type, *asked) == expected


@pytest.mark.parametrize(
    ("hidden", "type", "asked"),
    [
        ("Patient/ben", "Observation", "subject:Patient.gender=male"),
        ("Observation/o2", "Patient", "_has:Observation:patient:code=height"),
        ("Practitioner/p", "Observation", "patient.general-practitioner.name=house"),
        ("Slot/free", "Practitioner", "_has:Schedule:actor:_has:Slot:schedule:status=free"),
        ("Schedule/s", "Practitioner", "_has:Schedule:actor:_has:Slot:schedule:status=free"),
        ("Organization/clinic", "Patient", "organization:below=trust"),
        ("List/l", "Patient", "_list=l"),
    ],
)
async def test_what_the_caller_may_not_see_leads_nowhere(hidden: str, type: str, asked: str) -> None:
    assert await found(await filled(), type, asked)
    assert not await found(await filled(Hiding(hidden)), type, asked)


class Masking(Step):
    """Sexes are not shown."""

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        if stored.key.type != "Patient":
            return stored
        masked = stored.truth.replace(b'"gender":"male",', b"").replace(b'"gender":"female",', b"")
        return Stored(stored.key, stored.version, stored.seq, stored.last_updated, masked, stored.access)


async def test_a_masked_element_is_no_oracle() -> None:
    at = await filled(Masking())

    assert await found(at, "Patient", "gender=male") == []
    assert await found(at, "Observation", "subject:Patient.gender=male") == []
    assert await found(at, "Patient", "name=berg") == ["ann", "ben"]


async def test_r_smart_052_every_hop_is_held_to_the_patients_compartment() -> None:
    at = await filled(Access(BASE))
    ann = holder("patient/Observation.rs", "patient/Patient.rs", patient="ann")

    assert await found(at, "Observation", "subject:Patient.name=berg", principal=ann) == ["o1"]
    assert await found(at, "Observation", "subject:Patient.name=carl", principal=ann) == []
    assert await found(at, "Patient", "_has:Observation:patient:code=weight", principal=ann) == ["ann"]
    assert await found(at, "Patient", "_has:Observation:patient:code=height", principal=ann) == []


async def test_a_chain_needs_the_right_to_search_each_type_that_it_names() -> None:
    at = await filled(Access(BASE))
    nurse = holder("user/Observation.rs", "user/Location.rs")

    with pytest.raises(ForbiddenError):
        await found(at, "Observation", "subject:Patient.name=berg", principal=nurse)
    with pytest.raises(ForbiddenError):
        await found(at, "Observation", "subject:Group.identifier=x", principal=nurse)
    with pytest.raises(ForbiddenError):
        await found(at, "Observation", "patient.name=berg", principal=nurse)
    assert await found(at, "Observation", "subject.name=berg", principal=nurse) == [], "of those it may, one is left"
    assert await found(at, "Observation", "_list=l", principal=nurse) == []


async def test_a_chain_through_too_many_is_refused_and_never_cut() -> None:
    many = [resource("Patient", f"m{number}", name=[{"family": "Many"}]) for number in range(6)]
    seen = [observation(f"m{number}", f"m{number}", "many") for number in range(6)]

    at = await filled(limits=Limits(linked=5), more=[*many, *seen])
    for type, asked in (
        ("Observation", "subject:Patient.name=many"),
        ("Patient", "_has:Observation:patient:code=many"),
    ):
        with pytest.raises(TooCostlyError):
            await found(at, type, asked)
    assert await found(at, "Observation", "subject:Patient.name=berg") == ["o1", "o2"]
    assert len(await found(await filled(limits=Limits(linked=6), more=[*many, *seen]), "Observation", "code=many")) == 6


async def test_a_circle_has_an_end() -> None:
    circle = [
        resource("Organization", "x", name="X", partOf=to("Organization/y")),
        resource("Organization", "y", name="Y", partOf=to("Organization/x")),
    ]
    at = await filled(more=circle)

    assert await found(at, "Organization", "partof:below=x") == ["x", "y"]
    assert await found(at, "Organization", "partof:above=x") == ["x", "y"]
