"""Mandates and filters together, decided in memory; what the index and the address are asked."""

from datetime import UTC, datetime

import pytest

from fhir_server.search.address import Address, address
from fhir_server.search.match import Candidate, matches
from fhir_server.search.parse import parse
from fhir_server.search.plan import plan
from fhir_server.search.tree import AnyOf, IdIn, InCompartment, Mandate, Query
from fhir_server.search.types.kind import MOST_KEYWORDS
from fhir_server.search.types.moment import BEGINNING, END, Stretch, stretch
from tests.unit.search.asking import CHANGED, candidate, finds, indexed, observation, patient

ADA = patient(gender="female", name=[{"family": "Berg"}], meta={"tag": [{"system": "urn:t", "code": "demo"}]})


def parsed(type_name: str, *asked: str) -> Query:
    return parse(type_name, [(name, value) for name, _, value in (each.partition("=") for each in asked)])


def sought(type_name: str, *asked: str) -> list[set[str]]:
    return [
        {f"{name} {keyword}".strip() for name, keyword in group.any_of} for group in plan(parsed(type_name, *asked))
    ]


def test_another_type_never_matches() -> None:
    assert not matches(Query("Group"), candidate(ADA))


def test_r_fhir_063_a_mandate_holds_whatever_was_asked() -> None:
    query = parsed("Patient", "gender=female").must(Mandate(InCompartment("Patient/7"), "smart.compartment"))

    assert matches(query, candidate(ADA, "Patient/7"))
    assert not matches(query, candidate(ADA, "Patient/8"))
    assert query.self_parameters() == (("gender", "female"),), "a mandate is not shown"


def test_mandates_add_up_and_the_query_they_are_added_to_stays_as_it_was() -> None:
    query = Query("Patient")
    narrow = query.must(Mandate(IdIn(frozenset({"7", "8"})), "a")).must(Mandate(IdIn(frozenset({"8"})), "b"))

    assert matches(query, candidate(ADA))
    assert not matches(narrow, candidate(ADA))


def test_one_of_several_grants_is_enough_and_none_of_none() -> None:
    (female,) = parsed("Patient", "gender=female").filters
    (male,) = parsed("Patient", "gender=male").filters
    either = AnyOf(((male.condition,), (female.condition, InCompartment("Patient/7"))))
    query = Query("Patient").must(Mandate(either, "smart.granular"))

    assert matches(query, candidate(ADA, "Patient/7"))
    assert not matches(query, candidate(ADA))
    assert not matches(Query("Patient").must(Mandate(AnyOf(()), "smart.granular")), candidate(ADA, "Patient/7"))


def test_grants_that_all_name_keywords_are_looked_up_in_the_index() -> None:
    (female,) = parsed("Patient", "gender=female").filters
    (berg,) = parsed("Patient", "family=berg").filters
    query = Query("Patient").must(Mandate(AnyOf(((female.condition,), (berg.condition,))), "smart.granular"))
    (group,) = plan(query)

    assert set(group.any_of) == {("Patient.gender", "female"), ("Patient.name", "berg")}
    assert indexed(query, ADA)


def test_r_fhir_054_id_tag_and_change() -> None:
    assert (
        finds(ADA, "_id=7", "_tag=urn:t|demo", "_lastUpdated=2024-05-01", "_lastUpdated=gt2024-05-01T09:26:53Z")
        is False
    )
    assert finds(ADA, "_id=6,7", "_tag=urn:t|demo", "_lastUpdated=ge2024-05-01T09:26:53Z")
    assert finds(ADA, "_lastUpdated=2024-05-01T09:26:53.589Z")
    assert not finds(ADA, "_lastUpdated=lt2024-05-01T09:26:53.589Z")
    assert not finds(patient(id="Ab"), "_id=ab"), "ids are case-sensitive"


def test_all_but_some_ids_is_decided_on_the_address() -> None:
    assert finds(ADA, "_id:not=6,8")
    assert not finds(ADA, "_id:not=7")
    assert address(parsed("Patient", "_id:not=7")).ids is None


def test_r_fhir_062_missing_and_present() -> None:
    assert finds(ADA, "birthdate:missing=true", "gender:missing=false")
    assert not finds(ADA, "gender:missing=true")


def test_r_fhir_052_or_within_and_between() -> None:
    assert finds(ADA, "gender=male,female", "family=x,berg")
    assert not finds(ADA, "gender=male,female", "family=x,y")


def test_the_most_telling_group_comes_first() -> None:
    assert sought("Patient", "gender=female", "family=be", "birthdate=1980-05-01", "identifier=urn:a|9") == [
        {"Patient.identifier 9"},
        {"Patient.birthdate 1980-05-01"},
        {"Patient.name be"},
        {"Patient.gender female"},
    ]


def test_a_prefix_is_looked_up_by_the_longest_that_is_stored() -> None:
    assert sought("Patient", "family=bergman") == [{"Patient.name bergma"}]
    assert sought("Patient", "family=bergm") == [{"Patient.name berg"}]
    assert sought("Patient", "family=b") == [{"Patient._type"}], "a letter says nothing: the whole type"


def test_what_the_index_cannot_say_leaves_the_type() -> None:
    assert sought("Patient") == [{"Patient._type"}]
    assert sought("Patient", "gender:not=male") == [{"Patient._type"}]
    assert sought("Patient", "gender:missing=true") == [{"Patient._type"}]
    assert sought("Patient", "birthdate=ne1980") == [{"Patient._type"}]
    assert sought("Patient", "gender=male,female", "family:contains=x") == [
        {"Patient.gender male", "Patient.gender female"}
    ]


def test_a_compartment_is_looked_up_by_its_keyword_or_by_the_references_into_it() -> None:
    def inside(type_name: str, compartment: str) -> list[set[str]]:
        query = Query(type_name).must(Mandate(InCompartment(compartment), "smart.compartment"))
        return [{f"{name} {keyword}".strip() for name, keyword in group.any_of} for group in plan(query)]

    assert inside("Observation", "Patient/7") == [{"Observation._compartment Patient/7"}]
    assert inside("Observation", "Encounter/9") == [{"Observation.encounter Encounter/9"}]
    assert inside("Encounter", "Practitioner/3") == [{"Encounter.participant Practitioner/3"}], (
        "practitioner is served by participant"
    )
    assert inside("Encounter", "Encounter/9") == [{"Encounter._type"}], "found by its id"
    own = Query("Encounter").must(Mandate(InCompartment("Encounter/9"), "smart.compartment"))
    assert address(own).ids == frozenset({"9"})


def test_a_day_in_the_calendar_is_one_narrow_look_up() -> None:
    (group,) = sought("Appointment", "date=ge2024-05-01", "date=lt2024-05-02")

    assert "Appointment.date 2024-05-01" in group
    assert not {keyword for keyword in group if keyword.startswith("Appointment.date 2024-05-0")} - {
        "Appointment.date 2024-05-01"
    }


def test_both_ends_of_a_value_that_may_repeat_are_two_look_ups() -> None:
    assert len(sought("CarePlan", "activity-date=ge2024-05-01", "activity-date=lt2024-05-02")) == 2


def test_a_composite_is_looked_up_by_its_parts() -> None:
    first, second = sought("Observation", "code-value-quantity=8480-6$120")

    assert first == {"Observation.code 8480-6"}
    assert all(keyword.startswith("Observation.value-quantity ") for keyword in second)


@pytest.mark.parametrize(
    "asked",
    [
        "date=" + ",".join(f"ge19{year}-05-05" for year in range(10, 99)),
        "date=" + ",".join(f"19{year}-05-05" for year in range(10, 99)),
        "subject=" + ",".join(str(number) for number in range(100)),
        "value-quantity=" + ",".join(f"gt{number}" for number in range(100)),
        "combo-code=" + ",".join(str(number) for number in range(100)),
    ],
)
def test_no_group_is_larger_than_the_database_merges(asked: str) -> None:
    assert all(len(group) <= MOST_KEYWORDS for group in sought("Observation", asked))


def test_many_days_are_looked_up_day_by_day() -> None:
    (group,) = sought("Observation", "date=" + ",".join(f"19{year}-05-05" for year in range(10, 99)))

    assert len(group) == 89


def test_the_address_narrows_too() -> None:
    query = parsed(
        "Patient", "gender=female", "_id=7,8", "_id=8,9", "_lastUpdated=ge2024-05-01", "_lastUpdated=lt2024-05-02"
    )
    day = stretch("2024-05-01")

    assert day is not None
    assert address(query.must(Mandate(InCompartment("Patient/7"), "smart.compartment"))) == Address(
        frozenset({"8"}), ("Patient/7",), Stretch(day.low - 1000, day.high)
    )
    assert address(Query("Patient")) == Address(None, (), Stretch(BEGINNING, END))


@pytest.mark.parametrize("prefix", ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
@pytest.mark.parametrize(
    "text", ["2024", "2024-05-01", "2024-05-01T09:26:53.589Z", "2024-05-01T09:26:53Z", "2024-05-02", "2024-04-30"]
)
def test_what_changed_then_lies_where_the_address_says(prefix: str, text: str) -> None:
    query = parsed("Patient", f"_lastUpdated={prefix}{text}")
    low, high = address(query).updated
    changed = int((CHANGED - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000) * 1000

    assert low <= changed < high or not matches(query, candidate(ADA))


def test_the_resource_is_not_asked_who_it_is() -> None:
    impostor = Candidate("Patient", "7", CHANGED, frozenset({"Patient/7"}), patient(id="8"))

    assert matches(parsed("Patient", "_id=7"), impostor)
    assert not matches(parsed("Patient", "_id=8"), impostor)


def test_an_observation_is_found_by_both_its_codes() -> None:
    stored = observation(code={"coding": [{"code": "85354-9"}]}, component=[{"code": {"coding": [{"code": "8480-6"}]}}])

    assert finds(stored, "combo-code=85354-9")
    assert finds(stored, "combo-code=8480-6")
    assert not finds(stored, "code=8480-6")
