"""Query strings: what is understood, what is refused, what the self link shows."""

import pytest

from fhir_server.fhir.view import WHOLE, View
from fhir_server.kernel.errors import InvalidRequestError, TooCostlyError
from fhir_server.search.conditions import MOST_ALTERNATIVES
from fhir_server.search.parse import MOST_CHARACTERS, MOST_PAIRS, parse
from fhir_server.search.tree import IdIn, Missing, Query, Sort, ValueIn


def parsed(type_name: str, *asked: str, lenient: bool = False) -> Query:
    return parse(
        type_name, [(name, value) for name, _, value in (each.partition("=") for each in asked)], lenient=lenient
    )


def refusal(type_name: str, *asked: str, lenient: bool = False) -> tuple[str, str]:
    with pytest.raises(InvalidRequestError) as refused:
        parsed(type_name, *asked, lenient=lenient)
    (issue,) = refused.value.issues
    return issue.code, issue.diagnostics


def test_r_fhir_043_an_unknown_parameter_is_an_error_that_lists_the_known_ones() -> None:
    code, diagnostics = refusal("Patient", "nmae=x")

    assert code == "invalid"
    assert "nmae" in diagnostics
    assert "birthdate" in diagnostics


def test_r_fhir_043_a_lenient_client_has_it_left_out_and_is_told() -> None:
    query = parsed("Patient", "nmae=x", "name=ada", lenient=True)

    assert query.ignored == ("nmae",)
    assert query.self_parameters() == (("name", "ada"),)


@pytest.mark.parametrize("name", ["name[$ne]", "$where", "name.$gt", "__proto__", "Patient.name", "identifier|x", ""])
def test_r_fhir_064_an_operator_is_only_an_unknown_parameter(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse("Patient", [(name, "x")])


@pytest.mark.parametrize(
    "asked",
    [
        "name:text=x",
        "gender:above=x",
        "birthdate:not=2013",
        "_id:missing=true",
        "_lastUpdated:missing=true",
        "name:=x",
        "gender:in=http://x.example/V",
        "code:subsumes=x",
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_r_fhir_044_an_unsupported_modifier_is_refused_also_to_lenient_clients(asked: str, *, lenient: bool) -> None:
    type_name = "Observation" if asked.startswith("code") else "Patient"

    assert refusal(type_name, asked, lenient=lenient)[0] == "not-supported"


def test_r_fhir_044_a_refused_modifier_comes_with_those_that_there_are() -> None:
    assert refusal("Patient", "name:text=x")[1].endswith("It has: contains, exact, missing.")
    assert refusal("Patient", "identifier:in=x")[1].endswith("It has: missing, not, of-type, text.")
    assert refusal("Patient", "gender:text=x")[1].endswith("It has: missing, not.")
    assert refusal("Patient", "general-practitioner:in=x")[1].endswith(
        "It has: Organization, Practitioner, PractitionerRole, above, below, identifier, missing."
    )
    assert refusal("Patient", "_lastUpdated:missing=true")[1].endswith("It has: none.")


@pytest.mark.parametrize(
    "asked",
    [
        "_text=x",
        "_content=x",
        "_filter=name eq x",
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_what_comes_later_is_refused_and_never_ignored(asked: str, *, lenient: bool) -> None:
    assert refusal("Patient", asked, lenient=lenient)[0] == "not-supported"


@pytest.mark.parametrize("asked", ["name=", "name=,", "_count=", "_id=", "birthdate=,,", "gender:not="])
def test_r_fhir_045_an_empty_value_is_no_criterion(asked: str) -> None:
    query = parsed("Patient", asked)

    assert query == Query("Patient")


@pytest.mark.parametrize(
    "asked",
    [
        "_count=-1",
        "_count=x",
        "_count=1.5",
        "_count=٣",
        "_count=9999999999",
        "_total=all",
        "_id=a/b",
        "gender:missing=maybe",
        "_lastUpdated=x",
        "active=perhaps",
        "general-practitioner=a b",
        "general-practitioner=practitioner/7",
        "link:Patient=Group/7",
        "identifier:of-type=urn:x|MR",
        "identifier:of-type=urn:x||12",
        "identifier:text=-",
        "_profile=|1",
        "_tag:below=x",
        "_tag:above=|x",
        "_tag:below=urn:x|",
        "_tag:below=x|1",
        "_tag:below=urn:x|1|2",
        "_tag:in=7",
        "_tag:in=CodeSystem/7",
        "_tag:not-in=ValueSet/7/_history/1",
    ],
)
def test_r_fhir_045_a_bad_value_is_refused(asked: str) -> None:
    assert refusal("Patient", asked)[0] == "invalid"


def test_r_fhir_052_repeats_are_and_commas_are_or() -> None:
    query = parsed("Patient", r"name=ada,m\,x", "name=berg")
    first, second = (each.condition for each in query.filters)

    assert isinstance(first, ValueIn)
    assert isinstance(second, ValueIn)
    assert (len(first.any_of), len(second.any_of)) == (2, 1)


def test_r_fhir_042_the_self_link_lists_what_was_used_in_order() -> None:
    query = parsed(
        "Patient", "_format=json", "_count=5000", "name=", "birthdate=ge2000", "_pretty=true", "_sort=_id", "name=x"
    )

    assert query.self_parameters() == (("_count", "1000"), ("birthdate", "ge2000"), ("_sort", "_id"), ("name", "x"))


def test_r_fhir_055_the_count_is_limited_and_none_means_the_total_alone() -> None:
    assert parsed("Patient").count == 20
    assert parsed("Patient", "_count=3").count == 3
    assert parsed("Patient", "_count=5000").count == 1000
    assert parsed("Patient", "_count=0").counting
    assert parsed("Patient", "_summary=count").counting
    assert not parsed("Patient", "_summary=false").counting


def test_r_fhir_059_a_search_knows_how_much_is_to_be_shown() -> None:
    assert parsed("Patient").view is WHOLE
    assert parsed("Patient", "_summary=data").view == View(summary="data")
    assert parsed("Patient", "_elements=name,photo").view == View(elements=frozenset({"name", "photo"}))
    assert parsed("Patient", "_summary=false", "_elements=name").view.elements == frozenset({"name"})
    assert parsed("Patient", "_elements=name").self_parameters() == (("_elements", "name"),)
    assert refusal("Patient", "_summary=text", "_elements=name")[0] == "invalid"


@pytest.mark.parametrize("name", ["_include", "_revinclude", "_include:iterate"])
def test_r_fhir_059_a_narrative_alone_leads_nowhere(name: str) -> None:
    """R4: _summary=text does not go with includes; the other summaries do."""
    value = "Observation:subject" if name == "_revinclude" else "Patient:organization"

    assert parsed("Patient", f"{name}={value}", "_summary=true").view == View(summary="true")
    assert refusal("Patient", f"{name}={value}", "_summary=text")[0] == "invalid"


def test_r_fhir_060_the_order_and_the_hint_about_the_total() -> None:
    query = parsed("Patient", "_sort=-_lastUpdated,_id", "_total=accurate")

    assert query.sort == (Sort("_lastUpdated", descending=True), Sort("_id"))
    assert query.total == "accurate"


def test_r_fhir_060_any_parameter_with_an_order_is_a_key() -> None:
    assert parsed("Patient", "_sort=family,-birthdate").sort == (Sort("family"), Sort("birthdate", descending=True))
    assert parsed("Patient", "_sort=-_id").sort == (Sort("_id", descending=True),)
    assert parsed("Patient", "_sort=name,-name").sort == (Sort("name"),), "the first mention counts"


@pytest.mark.parametrize("key", ["nmae", "name:exact", "--name", "-", " name", "name,"])
def test_r_fhir_060_what_has_no_order_is_refused_with_what_has(key: str) -> None:
    code, diagnostics = refusal("Patient", f"_sort={key}")

    assert code == "invalid"
    assert diagnostics.endswith("phone, phonetic, telecom.")
    assert parsed("Patient", f"_sort={key}", lenient=True).ignored == ("_sort",)


def test_r_fhir_060_composites_and_distances_have_no_order_and_keys_are_few() -> None:
    assert refusal("Observation", "_sort=code-value-quantity")[0] == "invalid"
    assert refusal("Location", "_sort=near")[0] == "invalid"
    assert refusal("Patient", "_sort=name,given,family,birthdate,gender")[0] == "not-supported"


def test_r_fhir_054_ids_are_taken_as_they_are() -> None:
    (only,) = parsed("Patient", "_id=a,B").filters

    assert only.condition == IdIn(frozenset({"a", "B"}))
    (other,) = parsed("Patient", "_id:not=a").filters
    assert other.condition == IdIn(frozenset({"a"}), negated=True)


def test_r_fhir_062_missing_is_a_criterion_of_its_own() -> None:
    (only,) = parsed("Patient", "gender:missing=true").filters

    assert only.condition == Missing("gender", missing=True)


@pytest.mark.parametrize(
    "pairs",
    [
        [("name", "x")] * (MOST_PAIRS + 1),
        [("name", "x" * (MOST_CHARACTERS + 1))],
        [("_id", ",".join(str(number) for number in range(MOST_ALTERNATIVES + 1)))],
    ],
)
def test_a_search_has_limits(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(TooCostlyError):
        parse("Patient", pairs)


def test_a_refusal_repeats_no_more_of_a_name_than_fits_and_no_value() -> None:
    _, diagnostics = refusal("Patient", "\x1b[31m" + "x" * 500 + "=Berg")

    assert "\x1b" not in diagnostics
    assert "x" * 61 not in diagnostics
    assert "Berg" not in diagnostics
    assert "Berg" not in refusal("Patient", "birthdate=Berg")[1]
