"""Days, numbers, folded text, escapes: the small scales that keywords are made of, against slow oracles."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.search.types import days, magnitudes
from fhir_server.search.types.date import DateIs, DateValue
from fhir_server.search.types.escapes import escape, split, unescape
from fhir_server.search.types.folding import fold
from fhir_server.search.types.moment import DAY, EPOCH_DAY, stretch

often = settings(max_examples=60, deadline=None)
DATES = st.dates(date(1880, 1, 1), date(2120, 12, 31)).map(lambda day: day.toordinal() - EPOCH_DAY)
SMALL = st.integers(0, 9)


def spans() -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(SMALL, SMALL).map(lambda pair: (min(pair), max(pair) + 1))


@often
@given(DATES, DATES, st.integers(-400, 400), st.sampled_from([10, 30, 100]))
def test_a_day_within_a_range_has_a_keyword_of_its_cover(one: int, other: int, offset: int, most: int) -> None:
    first, last = sorted((one, other))
    for day in (first, last, (first + last) // 2, first + offset, last + offset):
        for low, high in ((first, last), (None, last), (first, None), (None, None)):
            cover = days.cover(low, high, most)
            if cover is not None:
                assert len(cover) <= most
                if (low is None or low <= day) and (high is None or day <= high):
                    assert set(days.keywords(day)) & set(cover)


@often
@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.integers(0, 9000), st.integers(-9000, 9000))
def test_a_fine_cover_holds_no_day_beside_its_range(start: date, length: int, offset: int) -> None:
    first = start.toordinal() - EPOCH_DAY
    last = min(first + length, date(2099, 12, 31).toordinal() - EPOCH_DAY)
    cover = days.cover(first, last, 1000)
    day = first + offset

    assert cover is not None
    assert bool(set(days.keywords(day)) & set(cover)) is (first <= day <= last)


def test_far_away_a_keyword_may_stand_for_all() -> None:
    century = [date(year, 5, 5).toordinal() - EPOCH_DAY for year in (1500, 1600, 2500, 2600)]

    assert days.cover(century[0], century[1], 50) == ("early",)
    assert days.cover(century[2], century[3], 50) == ("late",)


def test_most_ranges_need_few_keywords() -> None:
    starts = [date(1990, 1, 1) + timedelta(days=97 * step) for step in range(60)]
    sizes = [
        len(cover)
        for start in starts
        for length in (1, 40, 400, 2500)
        if (cover := days.cover(start.toordinal() - EPOCH_DAY, start.toordinal() - EPOCH_DAY + length, 100)) is not None
    ]

    assert len(sizes) == 240
    assert max(sizes) <= 100


def above(number: int) -> set[int]:
    return set(range(number, 60))


def below(number: int) -> set[int]:
    return set(range(-40, number))


@often
@given(spans(), spans())
def test_r_fhir_049_prefixes_mean_what_the_table_says(asked: tuple[int, int], stored: tuple[int, int]) -> None:
    """R4 speaks of ranges as sets of instants; here they are sets."""
    wanted, value = set(range(*asked)), set(range(*stored))
    over, under = above(asked[1]), below(asked[0])
    said = {
        "eq": value <= wanted,
        "ne": not value <= wanted,
        "gt": bool(over & value),
        "lt": bool(under & value),
        "ge": bool(over & value) or value <= wanted,
        "le": bool(under & value) or value <= wanted,
        "sa": not wanted & value and value <= over,
        "eb": not wanted & value and value <= under,
    }

    assert {prefix: DateIs(prefix, *asked).matches(DateValue(*stored)) for prefix in said} == said


@often
@given(spans(), spans())
def test_about_is_as_much_again_on_either_side(asked: tuple[int, int], stored: tuple[int, int]) -> None:
    low, high = (bound * DAY for bound in asked)
    length = asked[1] - asked[0]
    near = set(range(asked[0] - length, asked[1] + length))

    found = DateIs("ap", low, high).matches(DateValue(stored[0] * DAY, stored[1] * DAY))

    assert found is bool(near & set(range(*stored)))


@often
@given(st.dates(date(1, 1, 1), date(9999, 12, 31)))
def test_partial_dates_nest(day: date) -> None:
    year, month, whole = (stretch(day.isoformat()[:length]) for length in (4, 7, 10))

    assert year is not None
    assert month is not None
    assert whole is not None
    assert year.low <= month.low <= whole.low < whole.high <= month.high <= year.high


NUMBERS = st.builds(Decimal, st.tuples(st.sampled_from([0, 1]), st.tuples(SMALL, SMALL, SMALL), st.integers(-400, 400)))


@often
@given(NUMBERS, NUMBERS)
def test_a_larger_number_is_never_on_a_lower_step(one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))

    assert 0 <= magnitudes.step(low) <= magnitudes.step(high) <= 0xFFFF


@often
@given(NUMBERS, NUMBERS, NUMBERS, st.sampled_from([20, 100]))
def test_a_number_within_a_range_has_a_keyword_of_its_cover(
    one: Decimal, other: Decimal, third: Decimal, most: int
) -> None:
    low, middle, high = sorted((one, other, third))
    for first, last in ((low, high), (None, high), (low, None)):
        cover = magnitudes.cover(first, last, most)
        if cover is not None:
            assert len(cover) <= most
            assert set(magnitudes.keywords(middle)) & set(cover)


@often
@given(st.text(max_size=20))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@often
@given(st.text(alphabet="abyzÀÉßØÞİŞ' -", max_size=12))
def test_case_does_not_matter(text: str) -> None:
    assert fold(text.upper()) == fold(text.lower()) == fold(text)


@often
@given(st.lists(st.text(alphabet="ab,$|\\ ", max_size=8), min_size=1, max_size=4), st.sampled_from(",$|"))
def test_what_is_escaped_comes_back(texts: list[str], separator: str) -> None:
    written = separator.join(escape(text) for text in texts)

    assert [unescape(part) for part in split(written, separator)] == texts
