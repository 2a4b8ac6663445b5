"""R4 search, string: folded beginnings, `:exact`, `:contains`."""

import pytest

from fhir_server.kernel.errors import InvalidRequestError
from tests.unit.search.asking import finds, patient

ADA = patient(
    name=[{"family": "Müller-Lüdenscheidt", "given": ["Ada", "Zoë"], "prefix": ["Dr."], "text": "Dr. Ada Müller"}],
    address=[
        {
            "line": ["12 Rue de l\N{RIGHT SINGLE QUOTATION MARK}Église"],
            "city": "Saint-Étienne",
            "postalCode": "42000",
            "country": "FR",
        }
    ],
)


@pytest.mark.parametrize(
    "family", ["Müller-Lüdenscheidt", "müller", "MULLER", "mu", "m", "Müller-L", "MÜLLER-LÜDENSCHEIDT"]
)
def test_r_fhir_051_a_family_name_is_found_by_its_beginning_whatever_its_case_and_accents(family: str) -> None:
    assert finds(ADA, f"family={family}")
    assert finds(ADA, f"name={family}")


@pytest.mark.parametrize("family", ["Lüdenscheidt", "ludens", "l"])
def test_r_fhir_051_a_double_surname_is_found_by_either_part(family: str) -> None:
    assert finds(ADA, f"family={family}")


@pytest.mark.parametrize("family", ["uller", "Mueller", "Müllerx", "scheidt", "Ada"])
def test_what_stands_inside_a_word_does_not_count(family: str) -> None:
    assert not finds(ADA, f"family={family}")


@pytest.mark.parametrize("name", ["ada", "zoe", "Dr.", "Müller", "dr. ada m"])
def test_r_fhir_051_a_name_is_searched_in_all_its_parts(name: str) -> None:
    assert finds(ADA, f"name={name}")


def test_an_address_is_searched_in_all_its_parts_each_from_its_beginning() -> None:
    assert finds(ADA, "address=12 rue")
    assert finds(ADA, "address=saint-etienne")
    assert finds(ADA, "address-city=Saint", "address-country=fr", "address-postalcode=42")
    assert not finds(ADA, "address-city=Étienne"), "only names are found by a later word"
    assert not finds(ADA, "address-country=Saint"), "the shared keywords are no answer"


def test_r_fhir_051_exact_wants_every_letter_as_it_is() -> None:
    assert finds(ADA, "family:exact=Müller-Lüdenscheidt")
    assert not finds(ADA, "family:exact=müller-lüdenscheidt")
    assert not finds(ADA, "family:exact=Müller")
    assert finds(ADA, "given:exact=Zoë")
    assert not finds(ADA, "given:exact=Zoe")


def test_r_fhir_051_contains_looks_anywhere() -> None:
    assert finds(ADA, "family:contains=DENSCH")
    assert not finds(ADA, "family:contains=xyz")


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("O\N{RIGHT SINGLE QUOTATION MARK}Brien", "o'brien"),
        ("Øster", "oster"),
        ("Łukasz", "lukasz"),
        ("IŞIK", "\N{LATIN SMALL LETTER DOTLESS I}ş\N{LATIN SMALL LETTER DOTLESS I}k"),
        ("Straße", "STRASSE"),
    ],
)
def test_letters_that_do_not_decompose_are_found_as_people_type_them(stored: str, asked: str) -> None:
    assert finds(patient(name=[{"family": stored}]), f"family={asked}")


def test_what_is_no_text_is_no_value() -> None:
    assert finds(patient(name=[{"family": 7, "given": "Ada"}, "Berg"]), "family:missing=true")


def test_spacing_does_not_matter() -> None:
    assert finds(patient(name=[{"family": "van  der\tBerg"}]), "family=van der b")
    assert finds(patient(name=[{"family": "van der Berg"}]), "family=  berg ")


def test_a_name_of_one_letter_is_found() -> None:
    assert finds(patient(name=[{"family": "X"}]), "family=x", "family:exact=X")


def test_a_comma_that_belongs_to_the_text_is_escaped() -> None:
    assert finds(patient(name=[{"text": "Berg, Ada"}]), r"name=Berg\, Ada")
    assert finds(patient(name=[{"text": r"back\slash"}]), r"name=back\\s")


@pytest.mark.parametrize("value", ["\u0301", " "])
def test_nothing_but_marks_is_nothing_to_search_for(value: str) -> None:
    with pytest.raises(InvalidRequestError):
        finds(ADA, f"name={value}")
