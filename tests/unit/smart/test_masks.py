"""By what a role does not see it does not search either, also where a clinic defined the parameter itself."""

import pytest

from fhir_server.kernel.json import Json
from fhir_server.search.custom import taken
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.search.registry import Registry
from fhir_server.smart.masks import hides
from fhir_server.smart.roles import Reach, Rule


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
