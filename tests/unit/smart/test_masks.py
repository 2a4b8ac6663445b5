"""By what a role does not see it does not search either, also where a clinic defined the parameter itself."""

from dataclasses import replace

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.stored import Stored, truth
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.custom import taken
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.search.registry import Registry
from fhir_server.search.tree import AnyOf, Filter, IdIn, InCompartment, Missing, Query, Updated
from fhir_server.smart.masks import Masks, hides
from fhir_server.smart.roles import Reach, Rule
from tests.fakes.clock import NOW
from tests.unit.engine.calls import call, holder


def language(expression: str) -> Language:
    parameter: Json = {
        "id": "own",
        "code": "own",
        "base": ["Media"],
        "type": "string",
        "expression": f"Media.{expression}",
    }
    return Language(registry=Registry(taken([parameter]).definitions, number=2))


@pytest.mark.parametrize(
    ("expression", "hidden"),
    [("deviceName", None), ("reasonCode.text", "own"), ("content.title", "own"), ("extension('urn:x').value", "own")],
)
def test_a_parameter_of_the_clinics_own_reads_only_what_the_role_sees_whole(
    expression: str, hidden: str | None
) -> None:
    rule = Rule(frozenset({"Media"}), frozenset("rs"), Reach.ALL, only=frozenset({"deviceName", "content.url", "view"}))
    spoken = language(expression)

    for pairs in ([("own", "x")], [("own:missing", "true")], [("_sort", "own")], [("view", "a"), ("own", "x")]):
        assert hides(rule, parse("Media", pairs, spoken)) == hidden
    assert hides(rule, parse("Media", [("view", "a")], spoken)) is None


def test_alternatives_and_compartments_ask_by_what_they_are_made_of() -> None:
    rule = Rule(frozenset({"Media"}), frozenset("rs"), Reach.ALL, only=frozenset({"view"}))
    [seen] = parse("Media", [("view", "a")]).filters
    [unseen] = parse("Media", [("operator", "Practitioner/1")]).filters

    def asked(*conditions: AnyOf | IdIn | InCompartment | Updated) -> str | None:
        return hides(rule, Query("Media", tuple(Filter(each, ("", "")) for each in conditions)))

    assert asked(AnyOf(((seen.condition,),)), IdIn(frozenset({"1"}))) is None
    assert asked(AnyOf(((seen.condition,), (seen.condition, unseen.condition)))) == "operator"
    assert asked(InCompartment("Practitioner/1")) == "subject"
    assert asked(InCompartment("Patient/1")) == "subject"


def test_a_parameter_that_nobody_knows_is_asked_of_no_part() -> None:
    rule = Rule(frozenset({"Media"}), frozenset("rs"), Reach.ALL, only=frozenset({"view"}))

    assert hides(rule, Query("Media", (Filter(Missing("unheard-of", missing=True), ("", "")),))) == "unheard-of"


def test_a_chain_asks_by_the_element_that_it_begins_with() -> None:
    rule = Rule(frozenset({"Media"}), frozenset("rs"), Reach.ALL, only=frozenset({"view"}))

    assert hides(rule, parse("Media", [("operator:Practitioner.family", "x")])) == "operator"


def test_a_definition_opens_no_element_that_a_role_does_not_see() -> None:
    rule = Rule(frozenset({"Media"}), frozenset("rs"), Reach.ALL, only=frozenset({"view"}))

    for asked, value in (("below", "urn:s|a"), ("above", "urn:s|a"), ("in", "urn:v"), ("not-in", "urn:v")):
        assert hides(rule, parse("Media", [(f"modality:{asked}", value)])) == "modality"
        assert hides(rule, parse("Media", [(f"view:{asked}", value)])) is None


@pytest.mark.anyio
async def test_of_a_type_that_the_role_does_not_read_nothing_is_shown() -> None:
    """The step before refuses as well: either of them is enough."""
    key = ResourceKey("Media", "m")
    media = Stored(key, 1, 1, NOW, truth(key, {"resourceType": "Media", "id": "m"}), (), ())
    clerk = replace(holder("user/*.cruds"), role="receptionist", fhir_user="Practitioner/desk")

    assert await Masks().disclose(call(Interaction.READ, "Media", "m", clerk), media) is None
    assert await Masks().disclose(call(Interaction.READ, "Media", "m"), media) is media
