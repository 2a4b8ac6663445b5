"""The order of matches: R4 `_sort`, and the texts that stand for values in it."""

import math
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.kernel.json import Json
from fhir_server.search.language import Language
from fhir_server.search.order import in_index_order, keys_of, place
from fhir_server.search.parse import parse
from fhir_server.search.tree import InCompartment, Mandate
from fhir_server.search.types import ranks
from fhir_server.search.types.moment import BEGINNING, END
from tests.unit.search.asking import candidate, observation, patient

NUMBERS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=6),
    st.integers(-(10**30), 10**30).map(Decimal),
    st.sampled_from(
        [Decimal(text) for text in ("0", "-0", "1e-200", "-1e200", "Infinity", "-Infinity", "1.50", "1.5")]
    ),
)


@given(NUMBERS, NUMBERS)
def test_numbers_are_in_the_order_of_their_texts(one: Decimal, other: Decimal) -> None:
    assert (ranks.decimal(one) < ranks.decimal(other)) is (one < other)
    assert (ranks.decimal(one) == ranks.decimal(other)) is (one == other)


@given(st.integers(BEGINNING, END), st.integers(BEGINNING, END))
def test_moments_are_in_the_order_of_their_texts(one: int, other: int) -> None:
    assert (ranks.whole(one) < ranks.whole(other)) is (one < other)


def in_order(type: str, sort: str, *resources: Json, language: Language | None = None) -> list[str]:
    query = parse(type, [("_sort", sort)], language or Language())
    return [
        each["id"]
        for each in sorted(resources, key=lambda each: place(query, keys_of(query, candidate(each)), each["id"]))
    ]


def people(**born_and_called: tuple[str | None, str]) -> list[Json]:
    return [
        patient(id=id, name=[{"family": family}], **({"birthDate": born} if born else {}))
        for id, (born, family) in born_and_called.items()
    ]


def test_r_fhir_060_several_keys_each_in_its_direction() -> None:
    some = people(a=("1980", "Berg"), b=("1970", "Berg"), c=("1980", "adler"), d=("1970", "\u00c9mile"))

    assert in_order("Patient", "birthdate,family", *some) == ["b", "d", "c", "a"]
    assert in_order("Patient", "-birthdate,family", *some) == ["c", "a", "b", "d"]
    assert in_order("Patient", "family,-birthdate", *some) == ["c", "a", "b", "d"]
    assert in_order("Patient", "-family,birthdate", *some) == ["d", "b", "a", "c"]


def test_r_fhir_060_what_has_no_value_comes_last_in_either_direction() -> None:
    some = people(a=(None, "Berg"), b=("1970", "Berg"), c=(None, "Adler"), d=("1980", "Cole"))

    assert in_order("Patient", "birthdate", *some) == ["b", "d", "a", "c"]
    assert in_order("Patient", "-birthdate", *some) == ["d", "b", "a", "c"]
    assert in_order("Patient", "-birthdate,family", *some) == ["d", "b", "c", "a"]


def test_r_fhir_060_of_several_values_the_first_in_the_direction_counts() -> None:
    some = [patient(id="a", name=[{"family": "Mann"}, {"family": "Zorn"}]), patient(id="b", name=[{"family": "Nagel"}])]

    assert in_order("Patient", "family", *some) == ["a", "b"]
    assert in_order("Patient", "-family", *some) == ["a", "b"]


def measured(id: str, value: Any, code: str) -> Json:
    return observation(id=id, valueQuantity={"value": value, "system": "http://unitsofmeasure.org", "code": code})


def test_quantities_are_ordered_in_one_unit() -> None:
    some = [
        measured("a", 2, "kg"),
        measured("b", 1500, "g"),
        measured("c", Decimal(-3), "kg"),
        measured("d", 5, "[lb_av]"),
    ]

    assert in_order("Observation", "value-quantity", *some) == ["c", "b", "a", "d"]
    unbounded = observation(id="e", valueQuantity={"value": 1, "comparator": "<"})
    assert in_order("Observation", "-value-quantity", *some, unbounded)[-1] == "e"


def to(id: str) -> Json:
    return {"reference": f"Organization/{id}"}


def likely(probability: str) -> Json:
    return {"probabilityDecimal": Decimal(probability)}


@pytest.mark.parametrize(
    ("type", "sort", "first", "second"),
    [
        ("Patient", "identifier", {"identifier": [{"value": "A1"}]}, {"identifier": [{"value": "a2"}]}),
        ("Patient", "gender", {"gender": "female"}, {"gender": "male"}),
        ("Patient", "active", {"active": False}, {"active": True}),
        ("Patient", "organization", {"managingOrganization": to("a")}, {"managingOrganization": to("b")}),
        ("Patient", "_profile", {"meta": {"profile": ["http://a|1"]}}, {"meta": {"profile": ["http://a|2"]}}),
        ("Patient", "death-date", {"deceasedDateTime": "2020-05"}, {"deceasedDateTime": "2020-05-01T00:00:01Z"}),
        ("RiskAssessment", "probability", {"prediction": [likely("0.09")]}, {"prediction": [likely("0.1")]}),
    ],
)  # fmt: skip
def test_every_kind_has_an_order(type: str, sort: str, first: Json, second: Json) -> None:
    one, other = ({"resourceType": type, "id": id, **each} for id, each in (("b", first), ("a", second)))

    assert in_order(type, sort, other, one) == ["b", "a"]
    assert in_order(type, f"-{sort}", other, one) == ["a", "b"]


def test_dates_without_a_zone_are_ordered_as_the_clinic_means_them() -> None:
    some = [
        observation(id="day", effectiveDateTime="2024-05-01"),
        observation(id="before", effectiveDateTime="2024-04-30T23:59:00+10:00"),
        observation(id="after", effectiveDateTime="2024-05-01T00:01:00+10:00"),
    ]

    assert in_order("Observation", "date", *some, language=Language(zone=ZoneInfo("Australia/Sydney"))) == [
        "before",
        "day",
        "after",
    ]
    assert in_order("Observation", "date", *some) == ["before", "after", "day"]


def test_a_key_is_no_longer_than_a_page_link_can_hold() -> None:
    query = parse("Patient", [("_sort", "family,identifier")])
    long = patient(name=[{"family": "x" * 9000}], identifier=[{"system": "u" * 900, "value": "y" * 900}])

    assert [len(key or "") for key in keys_of(query, candidate(long))] == [128, 128]
    assert math.isfinite(len(ranks.decimal(Decimal("1" * 400))))
    assert len(ranks.decimal(Decimal("1" * 400))) < 200


def test_the_index_has_the_order_of_changes_and_of_ids_where_nothing_else_narrows() -> None:
    def indexed(*asked: tuple[str, str]) -> bool:
        return in_index_order(parse("Patient", list(asked)))

    assert indexed()
    assert indexed(("_sort", "-_lastUpdated,family"), ("name", "x"))
    assert indexed(("_sort", "_id"))
    assert indexed(("_sort", "-_id"), ("gender:not", "male"))
    assert indexed(("_sort", "_id"), ("_id", "1,2"), ("name", "ada"))
    assert not indexed(("_sort", "_id"), ("name", "ada"))
    assert not indexed(("_sort", "family"))
    mandated = parse("Patient", [("_sort", "_id")]).must(Mandate(InCompartment("Patient/7"), "smart.compartment"))
    assert not in_index_order(mandated)
