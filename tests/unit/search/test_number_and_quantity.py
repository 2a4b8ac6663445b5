"""R4 search, number and quantity: what was written stands for all that rounds to it; comparisons are exact."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.types.units import ALIKE, UNITS
from tests.unit.search.asking import finds, observation

UCUM = "http://unitsofmeasure.org"


def probability(value: Any, asked: str) -> bool:
    assessment = {"resourceType": "RiskAssessment", "id": "r", "prediction": [{"probabilityDecimal": value}]}
    return finds(assessment, f"probability={asked}")


def weight(asked: str, **quantity: Any) -> bool:
    return finds(observation(valueQuantity=quantity), f"value-quantity={asked}")


@pytest.mark.parametrize(
    ("value", "asked", "expected"),
    [
        (100, "100", True),
        ("99.5", "100", True),
        ("99.49", "100", False),
        ("100.5", "100", False),
        ("100.4", "100", True),
        ("100.4", "100.00", False),
        ("100.004", "100.00", True),
        (100, "1e2", True),
        (140, "1e2", True),
        ("0.0054", "5.4E-3", True),
        (0, "0", True),
        (-5, "-5", True),
        (100, "ne100", False),
        ("100.6", "ne100", True),
        ("100.0001", "gt100", True),
        (100, "gt100", False),
        (100, "ge100", True),
        (100, "le100", True),
        ("99.9999", "lt100", True),
        (100, "lt100", False),
        (101, "sa100", True),
        (99, "eb100", True),
        (109, "ap100", True),
        (111, "ap100", False),
        (-109, "ap-100", True),
        (-3, "lt-2", True),
        ("1e-30", "gt0", True),
        ("1e30", "gt1e29", True),
    ],
)
def test_r_fhir_053_numbers_against_every_prefix(value: Any, asked: str, *, expected: bool) -> None:
    assert probability(Decimal(value), asked) is expected


@pytest.mark.parametrize("asked", ["x", "1,2", "1.", "1e", "--1", "gt", "1" * 101, "1e9999", "0x10", "NaN"])
def test_r_fhir_045_what_is_no_number_is_refused(asked: str) -> None:
    with pytest.raises(InvalidRequestError):
        probability(1, asked.replace(",", r"\,"))


@pytest.mark.parametrize(
    ("value", "asked", "expected"),
    [
        ("1.123456789012345678", "1.123456789012345678", True),
        ("1.1234567890123456784", "1.123456789012345678", True),
        ("1.1234567890123456785", "1.123456789012345678", False),
        ("1.1234567890123456775", "1.123456789012345678", True),
        ("1." + "3" * 99 + "4", "gt1." + "3" * 100, True),
        ("1." + "3" * 100, "gt1." + "3" * 100, False),
        ("9" * 60, "9" * 60, True),
        ("9" * 59 + "8", "9" * 60, False),
        ("9" * 59 + "8", "lt" + "9" * 60, True),
        ("1e-90", "1e-90", True),
        ("1", "lt1e999", True),
        ("1", "eb1e-999", False),
        ("1e-100", "sa1e-999", True),
        ("1.1000000000000000000000000000001", "ap1", False),
        ("1.1", "ap1.00000000000000000000000000000000000", True),
    ],
)
def test_r_fhir_053_as_many_digits_as_a_decimal_has_are_compared_to_the_last(
    value: str, asked: str, *, expected: bool
) -> None:
    assert probability(Decimal(value), asked) is expected


@pytest.mark.parametrize("value", [True, "5", None, Decimal("NaN"), [5]])
def test_what_is_no_number_is_no_value(value: Any) -> None:
    assessment = {"resourceType": "RiskAssessment", "id": "r", "prediction": [{"probabilityDecimal": value}]}

    assert finds(assessment, "probability:missing=true")


@pytest.mark.parametrize(
    "asked", ["72.5", "ge70", f"72.5|{UCUM}|kg", "72.5||kg", "72.5||kilograms", f"gt72.4|{UCUM}|kg", "72.5||", "ap80"]
)
def test_r_fhir_053_a_quantity_is_found_by_number_and_unit(asked: str) -> None:
    assert weight(asked, value=Decimal("72.5"), system=UCUM, code="kg", unit="kilograms")


@pytest.mark.parametrize(
    "asked", [f"72.5|{UCUM}|g", "72.5||g", "72.5|urn:x|kg", "74", f"72.5|{UCUM}|kilograms", "72.5||KG"]
)
def test_r_fhir_053_another_unit_is_another_quantity(asked: str) -> None:
    assert not weight(asked, value=Decimal("72.5"), system=UCUM, code="kg", unit="kilograms")


@pytest.mark.parametrize("asked", ["5|kg", f"5|{UCUM}|", "5|a|b|c", "|a|b", "x||kg"])
def test_a_quantity_has_its_forms(asked: str) -> None:
    with pytest.raises(InvalidRequestError):
        weight(asked, value=5)


def test_below_a_limit_of_detection_is_anything_below() -> None:
    assert weight("lt1", value=5, comparator="<")
    assert not weight("gt6", value=5, comparator="<")
    assert weight("gt100", value=5, comparator=">=")
    assert not weight("eq5", value=5, comparator="<")


def test_a_range_overlaps() -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "onsetRange": {"low": {"value": 30, "unit": "a"}, "high": {"value": 40}},
    }

    assert finds(condition, "onset-age=gt35", "onset-age=lt31", "onset-age=ap35||a")
    assert not finds(condition, "onset-age=gt40")
    assert finds({**condition, "onsetRange": {"high": {"value": 40}}}, "onset-age=lt1")
    assert finds({**condition, "onsetRange": {}}, "onset-age:missing=true")


def test_a_probability_may_be_a_range() -> None:
    assessment = {"resourceType": "RiskAssessment", "id": "r"}
    likely = {"probabilityRange": {"low": {"value": Decimal("0.2")}, "high": {"value": Decimal("0.4")}}}

    assert finds({**assessment, "prediction": [likely]}, "probability=gt0.3", "probability=lt0.3")
    assert finds({**assessment, "prediction": [{"probabilityRange": {}}]}, "probability:missing=true")


def test_a_quantity_without_a_number_is_no_value() -> None:
    assert finds(observation(valueQuantity={"unit": "kg"}), "value-quantity:missing=true")


def test_money_is_a_quantity_in_its_currency() -> None:
    invoice = {"resourceType": "Invoice", "id": "i", "totalNet": {"value": Decimal("10.50"), "currency": "EUR"}}

    assert finds(invoice, "totalnet=10.50||EUR", "totalnet=gt10|urn:iso:std:iso:4217|EUR")
    assert not finds(invoice, "totalnet=10.50||USD")
    assert finds({**invoice, "totalNet": {"currency": "EUR"}}, "totalnet:missing=true")


def measured(value: str, code: str, *asked: str, system: str = UCUM) -> bool:
    quantity = {"value": Decimal(value), "system": system, "code": code, "unit": code}
    return finds(observation(valueQuantity=quantity), *(f"value-quantity={each}" for each in asked))


def test_r_fhir_053_units_of_one_dimension_are_converted_exactly() -> None:
    assert measured("185", "[lb_av]", f"83.9|{UCUM}|kg", f"gt83.914|{UCUM}|kg", f"lt83.915|{UCUM}|kg")
    assert measured("5.4", "mg/dL", f"0.054|{UCUM}|g/L", f"54|{UCUM}|mg/L")
    assert not measured("5.4", "mg/dL", f"0.55|{UCUM}|g/L")
    assert measured("98.6", "[degF]", f"37.0|{UCUM}|Cel", f"ge37|{UCUM}|Cel", f"le37|{UCUM}|Cel")
    assert measured("310.15", "K", f"98.60|{UCUM}|[degF]")
    assert measured("72", "/min", f"1.2|{UCUM}|Hz")
    assert not measured("98.6", "[degF]", f"gt37|{UCUM}|Cel")


def test_r_fhir_053_the_digits_asked_for_say_how_exactly() -> None:
    assert measured("1.54", "m", f"154|{UCUM}|cm", f"1.5|{UCUM}|m")
    assert not measured("1.54", "m", f"1540|{UCUM}|mm", f"1541|{UCUM}|mm")
    assert measured("1", "kg", f"ap950|{UCUM}|g")
    assert not measured("1", "kg", f"ap800|{UCUM}|g")


def test_units_of_other_dimensions_or_without_a_system_are_compared_as_written() -> None:
    assert not measured("1", "kg", f"1000|{UCUM}|mL")
    assert not measured("1", "kg", "1000||g")
    assert not measured("1", "kg", f"1000|{UCUM}|g", system="urn:units")
    assert measured("7", "{spots}", f"7|{UCUM}|{{spots}}")
    assert not measured("7", "{spots}", f"7|{UCUM}|{{lesions}}")


def test_every_unit_is_written_once_and_converts_back() -> None:
    for dimension, units in ALIKE.items():
        assert units[0].factor == 1 or dimension == "mass", dimension
        for unit in units:
            assert UNITS[unit.code] is unit
            assert unit.own(unit.normal(Decimal("1.5"))) == Decimal("1.5")
