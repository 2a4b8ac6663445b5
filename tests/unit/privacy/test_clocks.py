"""Row S54: the clock of each jurisdiction shows what its own vectors say, and one that is misspelt is refused."""

from datetime import date
from typing import Any

import pytest

from fhir_server.privacy.clocks import Course, Question, due, extendable_until, months_later, rules_of, understood

PACKS = ("eu", "fr", "gb")
VECTORS = [(name, vector) for name in PACKS for vector in rules_of(name).vectors]


@pytest.mark.parametrize(("name", "vector"), VECTORS, ids=[f"{name}: {vector['says']}" for name, vector in VECTORS])
def test_s_54_a_clock_shows_what_its_vectors_say(name: str, vector: dict[str, Any]) -> None:
    questions = tuple(Question(**one) for one in vector.get("questions", ()))
    course = Course(vector["received"], questions, vector.get("extended", False))

    assert due(course, rules_of(name)) == vector.get("due")


def test_s_54_every_clock_is_tried_with_31_january_an_extension_and_a_question() -> None:
    for name in PACKS:
        vectors = rules_of(name).vectors
        assert any((one["received"].month, one["received"].day) == (1, 31) for one in vectors)
        assert any(one.get("extended") for one in vectors)
        assert any(one.get("questions") for one in vectors)
        assert rules_of(name).source


def test_an_extension_is_told_within_the_first_month_whatever_was_extended() -> None:
    course = Course(date(2027, 1, 31), extended=True)

    assert extendable_until(course, rules_of("eu")) == date(2027, 2, 28)


def test_months_pass_the_end_of_a_year() -> None:
    assert months_later(date(2026, 12, 31), 2) == date(2027, 2, 28)
    assert months_later(date(2026, 11, 30), 1) == date(2026, 12, 30)


@pytest.mark.parametrize("wrong", [{"month": 1}, {"stops": ["identty"]}])
def test_a_misspelt_clock_is_refused(wrong: dict[str, Any]) -> None:
    told = {"months": 1, "longer": 2, "begins": [], "stops": [], "source": "x"}

    with pytest.raises(ValueError, match="does not know"):
        understood({**told, **wrong})
