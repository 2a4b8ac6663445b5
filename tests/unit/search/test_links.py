"""Chains, `_has`, hierarchies and lists: how they are written, and what is refused."""

import pytest

from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.search.language import Language
from fhir_server.search.match import UnresolvedError, matches
from fhir_server.search.parse import parse
from fhir_server.search.tree import Chain, Condition, Has, IdIn, InValueSet, Lineage, Listed, Subsumed, ValueIn
from tests.unit.search.asking import candidate, patient


def condition(type_name: str, asked: str, depth: int = 3) -> Condition:
    name, _, value = asked.partition("=")
    (only,) = parse(type_name, [(name, value)], Language(chain_depth=depth)).filters
    assert only.asked == (name, value)
    return only.condition


def refusal(type_name: str, asked: str) -> str:
    with pytest.raises(InvalidRequestError) as refused:
        condition(type_name, asked)
    (issue,) = refused.value.issues
    return issue.diagnostics


def test_r_fhir_048_a_chain_names_the_type_it_leads_to() -> None:
    found = condition("Observation", "subject:Patient.name=ada")

    assert isinstance(found, Chain)
    assert (found.parameter, found.named) == ("subject", True)
    ((target, inner),) = found.hops
    assert target == "Patient"
    assert isinstance(inner, ValueIn)
    assert inner.parameter == "name"


def test_r_fhir_048_a_chain_without_a_type_leads_to_all_that_have_the_parameter() -> None:
    found = condition("Observation", "subject.name=ada")

    assert isinstance(found, Chain)
    assert not found.named
    assert [target for target, _ in found.hops] == ["Location", "Patient"], "a Group and a Device have no name"


def test_r_fhir_048_a_chain_may_end_in_any_parameter_and_modifier() -> None:
    for asked in (
        "patient.identifier=urn:a|1",
        "patient._id=7",
        "patient.gender:not=male",
        "patient.birthdate:missing=true",
        "patient.name:exact=Ada",
        "patient.general-practitioner=Practitioner/3",
        "patient.general-practitioner:Organization=3",
    ):
        assert isinstance(condition("Observation", asked), Chain)


def test_r_fhir_048_has_asks_who_refers_here() -> None:
    found = condition("Patient", "_has:Observation:patient:code=1234-5,8")

    assert isinstance(found, Has)
    assert (found.type, found.parameter) == ("Observation", "patient")
    assert isinstance(found.condition, ValueIn)
    assert len(found.condition.any_of) == 2


def test_r_fhir_048_has_nests_and_takes_chains_and_ends_chains() -> None:
    free = condition("Practitioner", "_has:Schedule:actor:_has:Slot:schedule:status=free")
    assert isinstance(free, Has)
    assert isinstance(free.condition, Has)
    assert free.condition.type == "Slot"

    by_doctor = condition("Patient", "_has:Observation:patient:performer:Practitioner.name=x")
    assert isinstance(by_doctor, Has)
    assert isinstance(by_doctor.condition, Chain)

    in_group = condition("Observation", "patient._has:Group:member:_id=102")
    assert isinstance(in_group, Chain)
    assert dict(in_group.hops)["Patient"] == Has("Group", "member", IdIn(frozenset({"102"})))


def test_hierarchies_and_lists() -> None:
    assert condition("Procedure", "location:below=7") == Lineage("location", "below", ("Location",), "7")
    assert condition("Procedure", "location:above=Location/7") == Lineage("location", "above", ("Location",), "7")
    assert condition("Patient", "_list=42,43") == Listed(("42", "43"))


def test_what_definitions_decide_is_a_question_to_look_up() -> None:
    assert condition("Observation", r"code:below=urn:s|a,urn:s\,t|b,urn:s|a") == Subsumed(
        "code", "below", (("urn:s", "a"), ("urn:s,t", "b"))
    )
    assert condition("Observation", "_tag:above=urn:s|a") == Subsumed("_tag", "above", (("urn:s", "a"),))
    assert condition("Observation", r"code:in=http://x.example/V\|1,ValueSet/7") == InValueSet(
        "code", ("http://x.example/V|1", "ValueSet/7")
    )
    assert condition("Observation", "code:not-in=urn:v") == InValueSet("code", ("urn:v",), negated=True)


def test_r_fhir_048_a_chain_is_as_deep_as_the_server_allows() -> None:
    deep = "encounter.service-provider.partof.name=x"

    assert isinstance(condition("Observation", deep, depth=3), Chain)
    with pytest.raises(TooCostlyError):
        condition("Observation", deep, depth=2)
    with pytest.raises(TooCostlyError):
        condition("Patient", "_has:Observation:patient:_has:Provenance:target:agent=Practitioner/1", depth=1)


def test_a_chain_through_anything_asks_for_the_type() -> None:
    with pytest.raises(TooCostlyError, match="name the one that is meant"):
        condition("Provenance", "target.identifier=x")
    assert isinstance(condition("Provenance", "target:Patient.identifier=x"), Chain)


@pytest.mark.parametrize(
    ("type_name", "asked", "told"),
    [
        ("Observation", "code.name=x", "has no reference code. It has: based-on"),
        ("Observation", "sbject.name=x", "has no reference sbject"),
        ("Observation", "subject:Patient.nmae=x", "Patient has no search parameter nmae. It has: _id"),
        ("Observation", "subject.nmae=x", "has no search parameter nmae"),
        ("Observation", "subject:Practitioner.name=x", "refers to no Practitioner here. It refers to: Device, Group"),
        ("Observation", "subject:Nothing.name=x", "refers to no Nothing here"),
        ("Observation", "subject:Patient.name:text=x", "does not support the modifier text"),
        ("Observation", "subject:Patient.birthdate=x", "is a date"),
        ("Patient", "_has:Nothing:patient:code=x", "no type that is served here"),
        ("Patient", "_has:Observation:code:code=x", "Observation has no reference code"),
        ("Patient", "_has:Observation:encounter:code=x", "does not refer to a Patient. What does: "),
        ("Patient", "_has:Observation:patient:nothing=x", "Observation has no search parameter nothing"),
        ("Patient", "_has:Observation:patient=x", "is written _has:Type:parameter:name"),
        ("Patient", "_has:Observation:patient:=x", "is written _has:Type:parameter:name"),
        ("Patient", "_has=x", "is written _has:Type:parameter:name"),
        ("Patient", "_list:not=1", "without a modifier"),
        ("Patient", "_list=$current-problems", "id of a List"),
        ("Procedure", "location:below=Organization/1", "is the id of a Location"),
        ("Procedure", "location:below=1,2", "takes one value"),
        ("Procedure", "performer:above=Practitioner/1", "is the id of a Organization"),
        ("Procedure", "subject.=x", "has no search parameter "),
    ],
)
def test_r_fhir_048_what_leads_nowhere_is_refused_with_what_there_is(type_name: str, asked: str, told: str) -> None:
    assert told in refusal(type_name, asked)


def test_an_empty_value_at_the_end_of_a_chain_has_no_effect() -> None:
    for name in ("subject:Patient.name", "_has:Observation:patient:code", "_list"):
        assert parse("Patient" if name[0] == "_" else "Observation", [(name, "")]).filters == ()


def test_r_fhir_043_a_lenient_client_has_a_chain_that_leads_nowhere_left_out() -> None:
    query = parse("Observation", [("subject.nmae", "x"), ("_has:Nothing:a:b", "x")], lenient=True)

    assert query.ignored == ("subject.nmae", "_has:Nothing:a:b")


def test_what_was_not_looked_up_is_not_decided() -> None:
    links = ("general-practitioner.name", "_has:Observation:patient:code", "organization:below", "_list")
    for asked, value in (*((each, "x") for each in links), ("_tag:below", "urn:s|x"), ("_tag:in", "urn:x")):
        with pytest.raises(UnresolvedError):
            matches(parse("Patient", [(asked, value)]), candidate(patient()))
