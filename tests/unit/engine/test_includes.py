"""`_include` and `_revinclude` on a clinic in memory: what comes along, each once, and what may not."""

import pytest

from fhir_server.engine.call import Interaction, Principal
from fhir_server.engine.limits import Limits
from fhir_server.engine.page import Page
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.search.parse import parse
from fhir_server.smart.access import Access
from tests.fakes.clinic import BASE
from tests.unit.engine.calls import SYSTEM, Running, call, holder
from tests.unit.engine.connected import Hiding, filled, observation, resource, to

pytestmark = pytest.mark.anyio


async def search(at: Running, type: str, *asked: str, principal: Principal = SYSTEM) -> Page:
    pairs = [(name, value) for name, _, value in (each.partition("=") for each in asked)]
    query = parse(type, pairs, at.engine.language)
    return await at.engine.search(call(Interaction.SEARCH_TYPE, type, principal=principal), query)


def included(page: Page) -> list[str]:
    return sorted(str(stored.key) for stored in page.included)


@pytest.mark.parametrize(
    ("type", "asked", "expected"),
    [
        ("Observation", ["_include=Observation:subject"], ["Patient/ann", "Patient/ben", "Patient/carl"]),
        ("Observation", ["_include=Observation:subject:Patient", "_id=o1"], ["Patient/ann"]),
        ("Observation", ["_include=Observation:subject:Group"], []),
        (
            "Observation",
            ["_include=Observation:patient", "_include=Observation:performer", "_id=o2"],
            ["Patient/ben", "Practitioner/p"],
        ),
        ("Observation", ["_include=*", "_id=o2"], ["Patient/ben", "Practitioner/p"]),
        ("Observation", ["_include=Observation:*", "_id=o2"], ["Patient/ben", "Practitioner/p"]),
        ("Observation", ["_include=Observation:encounter"], []),
        ("Patient", ["_revinclude=Observation:patient", "_id=ann"], ["Observation/o1"]),
        ("Patient", ["_revinclude=Observation:subject:Patient", "_id=ann"], ["Observation/o1"]),
        ("Patient", ["_revinclude=Observation:*", "_id=ann"], ["Observation/o1"]),
        ("Patient", ["_revinclude=*", "_id=carl"], ["Group/g", "Observation/o3"]),
        ("Patient", ["_revinclude=List:item", "_revinclude=Group:member"], ["Group/g", "List/l"]),
        ("QuestionnaireResponse", ["_include=QuestionnaireResponse:questionnaire", "_id=r1"], ["Questionnaire/q1"]),
        (
            "QuestionnaireResponse",
            ["_include=QuestionnaireResponse:questionnaire", "_id=r2"],
            ["Questionnaire/q1", "Questionnaire/q2"],
        ),
        (
            "Questionnaire",
            ["_revinclude=QuestionnaireResponse:questionnaire", "_id=q2"],
            ["QuestionnaireResponse/r2"],
        ),
    ],
)
async def test_r_fhir_058_what_belongs_to_the_matches_comes_with_them(
    type: str, asked: list[str], expected: list[str]
) -> None:
    assert included(await search(await filled(), type, *asked)) == expected


async def test_r_fhir_058_includes_go_on_only_where_that_is_asked_for() -> None:
    at = await filled()
    ward, clinic, trust = "Organization/ward", "Organization/clinic", "Organization/trust"

    once = await search(at, "Patient", "_include=Patient:organization")
    twice = await search(at, "Patient", "_include=Patient:organization", "_include:iterate=Organization:partof")
    back = await search(at, "Practitioner", "_revinclude=Schedule:actor", "_revinclude:iterate=Slot:schedule")

    assert included(once) == [ward]
    assert included(twice) == [clinic, trust, ward]
    assert included(back) == ["Schedule/s", "Slot/free"]


async def test_r_fhir_058_a_circle_of_includes_ends() -> None:
    circle = [
        resource("Organization", "x", name="X", partOf=to("Organization/y")),
        resource("Organization", "y", name="Y", partOf=to("Organization/x")),
    ]
    at = await filled(more=circle)

    page = await search(at, "Organization", "_id=x", "_include:iterate=Organization:partof", "_revinclude:iterate=*")

    assert included(page) == ["Organization/y"]


async def test_r_fhir_058_each_comes_once_and_a_match_is_no_include() -> None:
    more = [observation("again", "ann", hasMember=[to("Observation/o1"), to("Observation/o3")])]
    at = await filled(more=more)

    page = await search(
        at, "Observation", "code=weight", "_include=Observation:subject", "_include=Observation:has-member"
    )

    assert [stored.key.id for stored in page.matches] == ["o1", "o3", "again"]
    assert included(page) == ["Patient/ann", "Patient/carl"]
    assert page.total == 3


async def test_r_fhir_058_each_page_is_complete_in_itself() -> None:
    at = await filled()
    query = parse("Observation", [("_include", "Observation:subject"), ("_count", "2")])
    asked = call(Interaction.SEARCH_TYPE, "Observation")

    first = await at.engine.search(asked, query)
    second = await at.engine.search(asked, query, first.next)

    assert included(first) == ["Patient/ann", "Patient/ben"]
    assert included(second) == ["Patient/carl"]


async def test_what_the_caller_may_not_see_is_not_brought() -> None:
    at = await filled(Hiding("Patient/ann", "Observation/o3"))

    assert included(await search(at, "Observation", "_include=*")) == ["Patient/ben", "Practitioner/p"]
    assert included(await search(at, "Patient", "_revinclude=Observation:patient")) == ["Observation/o2"]


async def test_what_was_deleted_or_never_there_is_not_brought() -> None:
    at = await filled(more=[observation("gone", "nobody"), observation("o4", "dora"), resource("Patient", "dora")])
    await at.engine.delete(call(Interaction.DELETE, "Patient", "dora"))

    page = await search(at, "Observation", "_id=gone,o4", "_include=Observation:subject")

    assert len(page.matches) == 2
    assert included(page) == []


async def test_r_smart_052_includes_stay_in_the_compartment_and_the_scopes() -> None:
    at = await filled(Access(BASE), more=[observation("o5", "ann", focus=[to("Patient/ben")])])
    ann = holder("patient/Observation.rs", "patient/Patient.rs", patient="ann")

    page = await search(at, "Observation", "_include=*", "_include=Observation:performer", principal=ann)
    back = await search(at, "Patient", "_revinclude=*", "_revinclude=Group:member", principal=ann)

    assert included(page) == ["Patient/ann"], "ben is another's, a Practitioner needs a scope of its own"
    assert included(back) == ["Observation/o1", "Observation/o5"]


async def test_every_included_patient_is_recorded() -> None:
    at = await filled()

    await search(at, "Group", "_include=Group:member")

    seen = {
        entity["what"]["reference"] for event in at.events() for entity in event.get("entity", []) if "what" in entity
    }
    assert "Patient/carl" in seen


async def test_r_fhir_058_too_many_includes_are_refused_and_never_cut() -> None:
    many = [observation(f"m{number}", "ann") for number in range(4)]

    at = await filled(limits=Limits(included=4), more=many)
    for asked in (["_revinclude=Observation:patient"], ["_revinclude=*"], ["_revinclude:iterate=Observation:subject"]):
        with pytest.raises(TooCostlyError, match="smaller _count"):
            await search(at, "Patient", "_id=ann", *asked)
    at = await filled(limits=Limits(included=5), more=many)
    assert len((await search(at, "Patient", "_id=ann", "_revinclude=Observation:patient")).included) == 5
    at = await filled(limits=Limits(included=2))
    with pytest.raises(TooCostlyError, match="smaller _count"):
        await search(at, "Observation", "_include=Observation:subject")
    assert included(await search(at, "Observation", "_include=Observation:subject", "_count=2")) == [
        "Patient/ann",
        "Patient/ben",
    ]


@pytest.mark.parametrize(
    ("type", "asked", "told"),
    [
        ("Observation", "_include=Observation", "is Source:parameter"),
        ("Observation", "_include=Observation:subject:Patient:x", "is Source:parameter"),
        ("Observation", "_include=Observation:", "is Source:parameter"),
        ("Observation", "_include=Observation:sbject", "has no reference sbject. It has: based-on"),
        ("Observation", "_include=Observation:code", "has no reference code"),
        ("Observation", "_include=Nothing:subject", "no type that is served here"),
        ("Observation", "_include=Observation:subject:Nothing", "no type that is served here"),
        ("Observation", "_include=Observation:subject:Practitioner", "refers to no Practitioner. It refers to: Device"),
        ("Observation", "_include=Patient:organization", "_include:iterate goes from what is included"),
        ("Patient", "_revinclude=Slot:schedule", "refers to none of the types that are searched"),
        ("Patient", "_include:recurse=Patient:organization", "does not support the modifier recurse. It has: iterate."),
    ],
)
async def test_an_include_that_brings_nothing_ever_is_refused(type: str, asked: str, told: str) -> None:
    name, _, value = asked.partition("=")

    with pytest.raises(InvalidRequestError) as refused:
        parse(type, [(name, value)])

    assert told in refused.value.issues[0].diagnostics


def test_r_fhir_042_includes_stand_in_the_self_link() -> None:
    query = parse("Patient", [("_include", "Patient:organization"), ("_revinclude", ""), ("_include", "*")])

    assert query.self_parameters() == (("_include", "Patient:organization"), ("_include", "*"))
