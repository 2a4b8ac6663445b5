"""Row S54: the legal clock against a slow oracle that walks from day to day; and what holds whatever happens."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.privacy.clocks import CLARIFICATION, IDENTITY, Course, Question, Rules, due, months_later

DAY = timedelta(days=1)
DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))
ABOUT = st.sampled_from((IDENTITY, CLARIFICATION))
QUESTIONS = st.lists(
    st.builds(
        lambda about, asked, took: Question(about, asked, None if took is None else asked + took * DAY),
        ABOUT,
        DAYS,
        st.none() | st.integers(0, 70),
    ),
    max_size=3,
)
RULES = st.builds(Rules, st.integers(1, 3), st.integers(1, 3), st.frozensets(ABOUT), st.frozensets(ABOUT), st.just("x"))


@st.composite
def courses(draw: st.DrawFn) -> Course:
    received = draw(DAYS)
    questions = [
        replace(one, asked=received + gap, answered=one.answered and one.answered - one.asked + received + gap)
        for one, gap in ((each, draw(st.integers(0, 120)) * DAY) for each in draw(QUESTIONS))
    ]
    return Course(received, tuple(questions), draw(st.booleans()))


def is_months_after(day: date, begin: date, months: int) -> bool:
    """As people count it: as many new months have begun, and the day of the month is reached or cannot be."""
    passed = (day.year - begin.year) * 12 + day.month - begin.month
    return passed > months or (passed == months and (day.day >= begin.day or (day + DAY).month != day.month))


def walked(course: Course, rules: Rules) -> date | None:
    """From day to day; a day on which an answer is awaited puts the end off by one."""
    if any(one.answered is None and one.about in rules.begins | rules.stops for one in course.questions):
        return None
    begin = max([course.received, *(one.answered or date.min for one in course.questions if one.about in rules.begins)])
    months = rules.months + rules.longer * course.extended
    day, still = begin, 0
    while not is_months_after(day, begin, months):
        day += DAY
        still += waits(day, course, rules)
    while still:
        day += DAY
        still += waits(day, course, rules) - 1
    return day


def waits(day: date, course: Course, rules: Rules) -> bool:
    stopping = [one for one in course.questions if one.about in rules.stops]
    return any(one.answered is not None and one.asked <= day < one.answered for one in stopping)


@settings(max_examples=120, deadline=None)
@given(courses(), RULES)
def test_s_54_the_clock_shows_the_day_to_which_the_oracle_walks(course: Course, rules: Rules) -> None:
    assert due(course, rules) == walked(course, rules)


@settings(max_examples=60, deadline=None)
@given(courses(), RULES)
def test_an_extension_or_an_answer_never_shortens_it(course: Course, rules: Rules) -> None:
    shown, longer = due(replace(course, extended=False), rules), due(replace(course, extended=True), rules)

    assert (shown is None) == (longer is None)
    if shown and longer:
        assert course.received <= shown < longer
        assert shown >= months_later(course.received, rules.months)


@settings(max_examples=60, deadline=None)
@given(DAYS, st.integers(0, 30))
def test_a_month_later_is_the_same_day_or_the_last_of_a_shorter_month(day: date, months: int) -> None:
    found = months_later(day, months)

    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == months
    assert found.day == day.day or (found.day < day.day and (found + DAY).day == 1)
