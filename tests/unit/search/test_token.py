"""R4 search, token: the four forms, `:not`, and what counts as a code."""

import pytest

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from tests.unit.search.asking import finds, observation, patient

LOINC = "http://loinc.org"
WEIGHT = observation(
    status="final",
    code={"coding": [{"system": LOINC, "code": "29463-7"}, {"code": "W"}, {"system": "urn:x"}], "text": "weight"},
)
ADA = patient(
    active=True,
    gender="female",
    identifier=[{"system": "urn:oid:1.2.3", "value": "AB-12"}, {"value": "plain"}, {"system": "urn:oid:9"}],
    telecom=[
        {"system": "phone", "value": "+33 1 23-45.67/89"},
        {"system": "email", "value": "Ada-1@b.example"},
        {"system": "phone", "value": "ask the desk"},
    ],
)


@pytest.mark.parametrize("code", ["29463-7", f"{LOINC}|29463-7", f"{LOINC}|", "W", "|W", "w", "urn:x|"])
def test_r_fhir_046_every_form_of_a_token_finds_any_coding(code: str) -> None:
    assert finds(WEIGHT, f"code={code}")


@pytest.mark.parametrize(
    "code", ["29463", "|29463-7", f"{LOINC}|W", "http://snomed.info/sct|29463-7", "weight", "urn:|"]
)
def test_r_fhir_046_the_system_counts_where_it_is_written(code: str) -> None:
    assert not finds(WEIGHT, f"code={code}")


@pytest.mark.parametrize(
    "identifier", ["AB-12", "ab-12", "urn:oid:1.2.3|AB-12", "urn:oid:1.2.3|", "|plain", "urn:oid:9|"]
)
def test_r_fhir_046_identifiers_are_tokens(identifier: str) -> None:
    assert finds(ADA, f"identifier={identifier}")


@pytest.mark.parametrize("identifier", ["AB", "|AB-12", "urn:oid:9|AB-12", "urn:oid:1.2|"])
def test_an_identifier_of_another_system_is_another(identifier: str) -> None:
    assert not finds(ADA, f"identifier={identifier}")


def test_the_system_of_a_plain_code_is_given_by_its_definition() -> None:
    assert finds(ADA, "gender=female", "active=true")
    assert finds(ADA, "gender=http://hl7.org/fhir/administrative-gender|female", "gender=|female")
    assert not finds(ADA, "gender=http://hl7.org/fhir/administrative-gender|")
    assert not finds(ADA, "gender=male")
    assert not finds(ADA, "active=false")


@pytest.mark.parametrize("number", ["+33 1 23-45.67/89", "+33123456789", "+33 (1) 23 45 67 89"])
def test_a_telephone_number_is_found_however_it_is_punctuated(number: str) -> None:
    assert finds(ADA, f"phone={number}")
    assert finds(ADA, f"telecom={number}")
    assert not finds(ADA, f"email={number}")


def test_other_contacts_are_compared_as_written() -> None:
    assert finds(ADA, "email=ada-1@B.example")
    assert finds(ADA, "telecom=ask the desk")
    assert not finds(ADA, "phone=12345")


def test_r_fhir_046_not_also_finds_what_has_no_code() -> None:
    assert not finds(WEIGHT, "code:not=29463-7")
    assert not finds(WEIGHT, "code:not=nothing,29463-7")
    assert finds(WEIGHT, "code:not=nothing")
    assert finds(observation(), "code:not=29463-7")


@pytest.mark.parametrize("value", ["|", "a|b|c", " "])
def test_what_has_neither_code_nor_system_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequestError):
        finds(WEIGHT, f"code={value}")


def test_a_bar_that_belongs_to_the_code_is_escaped() -> None:
    assert finds(
        patient(identifier=[{"system": "urn:a", "value": "x|y"}]), r"identifier=urn:a|x\|y", r"identifier=x\|y"
    )


@pytest.mark.parametrize("code", [{"coding": "x"}, {"coding": ["x"]}, {"coding": [{"code": 1}]}, {}, "x", {"text": 7}])
def test_what_is_no_coding_is_not_found(code: Json | str) -> None:
    assert not finds(observation(code=code), "code=x")
    assert finds(observation(code=code), "code:missing=true")


def test_the_living_are_found_too() -> None:
    assert finds(patient(), "deceased=false")
    assert finds(patient(deceasedDateTime="2024-01-01"), "deceased=true", "death-date=2024-01-01")
    assert not finds(patient(deceasedBoolean=False), "deceased=true")


def test_a_concept_in_words_alone_has_no_code_and_is_not_missing() -> None:
    for code in ({"text": "Skin type"}, {"coding": [{"display": "Skin type"}]}):
        assert finds(observation(code=code), "code:missing=false", "code:not=x", "code:text=skin")
        assert not finds(observation(code=code), "code=skin type")


LASER = observation(
    code={
        "coding": [{"system": "urn:p", "code": "L1", "display": "Fractional (CO\u2082) laser resurfacing"}],
        "text": "R\u00e9surfa\u00e7age du visage",
    }
)


@pytest.mark.parametrize(
    "words", ["laser", "LASER RES", "fractional-co2", "resurfacage", "visage", "lase", "du visage"]
)
def test_r_fhir_044_text_finds_the_words_beside_a_code(words: str) -> None:
    assert finds(LASER, f"code:text={words}")


@pytest.mark.parametrize("words", ["aser", "laser visage", "L1", "urn"])
def test_text_begins_at_a_word_and_stays_in_one_text(words: str) -> None:
    assert not finds(LASER, f"code:text={words}")


def test_text_of_an_identifier_is_that_of_its_type() -> None:
    passport = {"type": {"coding": [{"system": "urn:t", "code": "PPN"}], "text": "Passport number"}, "value": "X1"}
    tagged = patient(identifier=[passport], meta={"tag": [{"code": "d", "display": "Demo data"}]})

    assert finds(tagged, "identifier:text=passport", "_tag:text=demo")
    assert not finds(tagged, "identifier:text=x1")


NUMBERED = patient(
    identifier=[
        {"type": {"coding": [{"system": "urn:t", "code": "MR"}]}, "system": "urn:a", "value": "446053"},
        {"type": {"coding": [{"system": "urn:t", "code": "DL"}, {"code": "ID"}]}, "value": "Ab-9"},
        {"type": "MR", "value": "7"},
    ]
)


def test_r_fhir_044_of_type_finds_an_identifier_by_its_type_and_value() -> None:
    assert finds(NUMBERED, "identifier:of-type=urn:t|MR|446053")
    assert finds(NUMBERED, "identifier:of-type=urn:t|dl|ab-9", "identifier:of-type=urn:t|DL|AB-9")
    assert not finds(NUMBERED, "identifier:of-type=urn:t|MR|Ab-9"), "the type of another identifier"
    assert not finds(NUMBERED, "identifier:of-type=urn:u|MR|446053")
    assert not finds(NUMBERED, "identifier:of-type=urn:a|MR|446053"), "the identifier's own system does not count"
    assert not finds(NUMBERED, "identifier:of-type=urn:t|MR|7")


@pytest.mark.parametrize("value", ["MR|446053", "urn:t|MR|", "urn:t|MR|1|2", "|MR|446053"])
def test_of_type_takes_three_parts(value: str) -> None:
    with pytest.raises(InvalidRequestError):
        finds(NUMBERED, f"identifier:of-type={value}")


def test_r_fhir_045_a_flag_is_true_or_false() -> None:
    with pytest.raises(InvalidRequestError):
        finds(ADA, "active=yes")
