"""How sure it is that two Patients are one person: nobody is matched on an address alone."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.engine.likeness import SCORES, grade, person
from fhir_server.kernel.json import Json

INS = {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "1850578006084"}
ANN: Json = {
    "resourceType": "Patient",
    "identifier": [INS],
    "name": [{"family": "Lefèvre", "given": ["Ann", "Marie"]}],
    "birthDate": "1985-05-07",
    "gender": "female",
    "telecom": [{"system": "phone", "value": "+33 6 12 34 56 78"}, {"system": "email", "value": "ann@example.org"}],
}


def told(**changes: Any) -> str:
    """The grade of somebody like Ann; None takes an element away."""
    other = {name: value for name, value in {**ANN, **changes}.items() if value is not None}
    return grade(person(ANN), person(other))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "certain"),
        ({"name": [{"family": "Married"}]}, "certain"),
        ({"birthDate": "1985-07-05"}, "possible"),
        ({"gender": "male"}, "possible"),
        ({"identifier": None}, "probable"),
        ({"identifier": None, "name": [{"family": "LEFEVRE", "given": ["ann"]}], "telecom": None}, "probable"),
        ({"identifier": [{**INS, "value": "2"}]}, "possible"),
        ({"identifier": None, "gender": "male"}, "possible"),
        ({"identifier": None, "name": [{"family": "Lefèvre", "given": ["Zoé"]}], "telecom": None}, "possible"),
        ({"identifier": None, "birthDate": None}, "possible"),
        ({"identifier": None, "birthDate": None, "telecom": None}, "certainly-not"),
        ({"identifier": None, "birthDate": "1990-01-01"}, "certainly-not"),
        ({"identifier": [{**INS, "value": "2"}], "name": [{"family": "Lefèvre"}]}, "certainly-not"),
    ],
)
def test_facts_that_agree_and_contradict_make_the_grade(changes: dict[str, Any], expected: str) -> None:
    assert told(**changes) == expected


@pytest.mark.parametrize("telecom", ANN["telecom"])
def test_nobody_is_matched_on_an_address_alone(telecom: Json) -> None:
    stranger = {"resourceType": "Patient", "telecom": [telecom]}

    assert grade(person(ANN), person(stranger)) == "certainly-not"


_SOME = st.sets(st.sampled_from(sorted(ANN.keys() - {"resourceType"}))).map(
    lambda names: {name: ANN[name] for name in names}
)
_OTHERS = st.fixed_dictionaries(
    {},
    optional={
        "identifier": st.sampled_from([[INS], [{**INS, "value": "2"}]]),
        "name": st.sampled_from([ANN["name"], [{"family": "Lefèvre"}], [{"family": "Who", "given": ["Ann"]}]]),
        "birthDate": st.sampled_from(["1985-05-07", "1990-01-01"]),
        "gender": st.sampled_from(["female", "male", "unknown"]),
        "telecom": st.sampled_from([ANN["telecom"], [{"system": "sms", "value": "0612345678"}]]),
    },
)


@given(_SOME, _OTHERS)
def test_it_does_not_matter_who_is_asked_about(one: Json, other: Json) -> None:
    assert grade(person(one), person(other)) == grade(person(other), person(one))


@given(_OTHERS)
def test_less_said_is_never_surer_than_the_same_with_a_shared_number(other: Json) -> None:
    order = ["certainly-not", "possible", "probable", "certain"]
    without = {name: value for name, value in other.items() if name != "identifier"}

    bare = grade(person({**ANN, "identifier": []}), person(without))
    numbered = grade(person(ANN), person({**without, "identifier": [INS]}))

    assert order.index(numbered) >= order.index(bare)


def test_a_surer_grade_has_a_higher_score() -> None:
    scores = [float(SCORES[each]) for each in ("certain", "probable", "possible")]

    assert all(higher > lower for higher, lower in combinations(scores, 2))
