"""Does a Period cover an instant?"""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.consent.match import Match
from fhir_server.consent.period import covers, span

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
INSIDE = [
    None,
    {},
    {"start": "2026"},
    {"start": "2026-03"},
    {"start": "2026-03-14"},
    {"start": "2026-03-14T12:00:00Z"},
    {"end": "2026"},
    {"end": "2026-03"},
    {"end": "2026-03-14"},
    {"end": "2026-03-14T12:00:00Z"},
    {"end": "2026-03-14T12:00:00.000Z"},
    {"start": "2026-03-14T13:00:00+01:00", "end": "2026-03-14T07:00:00-05:00"},
    {"start": "0001-01-01", "end": "9999-12-31"},
    {"start": "0001", "end": "9999"},
    {"end": "9999-12"},
    {"end": "9999-12-30"},
]
OUTSIDE = [
    {"start": "2027"},
    {"start": "2026-04"},
    {"start": "2026-03-15"},
    {"start": "2026-03-14T12:00:00.001Z"},
    {"start": "2026-03-14T12:00:01Z"},
    {"end": "2025"},
    {"end": "2026-02"},
    {"end": "2025-12"},
    {"end": "2026-03-14T11:59:59.9Z"},
    {"end": "2026-03-13"},
    {"end": "2026-03-14T11:59:59Z"},
    {"end": "2026-03-14T11:59:59.999Z"},
    {"end": "2026-03-14T12:00:00+00:01"},
    {"start": "2026-03-15", "end": "2026-03-13"},
]
UNREADABLE = [
    "2026",
    [],
    {"start": "yesterday"},
    {"start": "2026-13"},
    {"end": "2026-02-30"},
    {"end": "2026-3-1"},
    {"end": "2026-03-14T12:00"},
    {"end": "2026-03-14T12:00:00"},
    {"end": "2026-03-14T12:00:60Z"},
    {"end": "2026-03-14T12:00:00+25:00"},
    {"end": "9999-12-31T23:59:59Z"},
    {"end": "٢٠٢٦"},
    {"end": 2026},
    {"end": None},
    {"start": "0000"},
    {"_end": {"extension": []}},
    {"extension": []},
]


@pytest.mark.parametrize("period", INSIDE)
def test_an_instant_inside(period: object) -> None:
    assert covers(period, NOON) is Match.YES


@pytest.mark.parametrize("period", OUTSIDE)
def test_an_instant_outside(period: object) -> None:
    assert covers(period, NOON) is Match.NO


@pytest.mark.parametrize("period", UNREADABLE)
def test_a_period_that_cannot_be_read_is_unsure(period: object) -> None:
    assert covers(period, NOON) is Match.UNSURE


def test_an_instant_without_a_zone_is_unsure() -> None:
    assert covers({"end": "2027"}, NOON.replace(tzinfo=None)) is Match.UNSURE


def test_a_day_ends_with_the_day_at_the_clinic() -> None:
    until = {"end": "2026-03-28"}
    paris = timezone(timedelta(hours=1))

    assert covers(until, datetime(2026, 3, 28, 23, 59, 59, tzinfo=paris)) is Match.YES
    assert covers(until, datetime(2026, 3, 29, 0, 0, tzinfo=paris)) is Match.NO
    assert covers(until, datetime(2026, 3, 28, 23, 30, tzinfo=UTC)) is Match.YES


def test_a_year_and_a_month_end_where_the_next_begins() -> None:
    new_year = datetime(2026, 1, 1, tzinfo=UTC)
    before = new_year - timedelta(microseconds=1)

    assert [covers({"end": end}, before) for end in ("2025", "2025-12", "2025-12-31")] == [Match.YES] * 3
    assert [covers({"end": end}, new_year) for end in ("2025", "2025-12", "2025-12-31")] == [Match.NO] * 3
    assert [covers({"start": start}, before) for start in ("2026", "2026-01", "2026-01-01")] == [Match.NO] * 3
    assert [covers({"start": start}, new_year) for start in ("2026", "2026-01", "2026-01-01")] == [Match.YES] * 3


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
def test_the_ends_of_the_calendar_hold_in_every_zone(zone: timezone) -> None:
    assert covers({"start": "0001-01-01", "end": "9999-12-31"}, NOON.astimezone(zone)) is Match.YES
    assert covers({"start": "9999-12-31"}, NOON.astimezone(zone)) is Match.NO
    assert covers({"end": "0001"}, NOON.astimezone(zone)) is Match.NO


def test_the_last_year_of_the_calendar_is_a_year_like_any_other() -> None:
    last = datetime(9999, 6, 1, tzinfo=UTC)

    assert covers({"start": "9999", "end": "9999"}, last) is Match.YES
    assert covers({"start": "9999-06-02"}, last) is Match.NO
    assert covers({"end": "9999-05"}, last) is Match.NO


@pytest.mark.parametrize(
    ("text", "first", "microseconds"),
    [
        ("2026-03-14T12:00:00Z", 0, 1_000_000),
        ("2026-03-14T12:00:00.5Z", 500_000, 100_000),
        ("2026-03-14T12:00:00.05+00:00", 50_000, 10_000),
        ("2026-03-14T12:00:00.123456Z", 123_456, 1),
        ("2026-03-14T12:00:00.123456789Z", 123_456, 1),
        ("2026-03-14T17:30:00+05:30", 0, 1_000_000),
        ("2026-03-14T08:30:00.000-03:30", 0, 1_000),
    ],
)
def test_an_instant_lasts_as_long_as_its_last_digit(text: str, first: int, microseconds: int) -> None:
    begin = NOON + timedelta(microseconds=first)

    assert span(text, timezone(timedelta(hours=9))) == (begin, begin + timedelta(microseconds=microseconds))


def test_a_day_is_read_in_its_zone_and_what_is_no_text_is_no_date() -> None:
    east = timezone(timedelta(hours=9))
    midnight = datetime(2026, 3, 13, 15, tzinfo=UTC)

    assert span("2026-03-14", east) == (midnight, midnight + timedelta(days=1))
    assert span("2026-02", UTC) == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    for nothing in (None, 2026, ["2026"], "2026-03-14T12:00:00Z" + " " * 30, "2026-03-14T12:00:00.1234567890Z"):
        assert span(nothing, UTC) is None


FORMS = {4: "%Y", 7: "%Y-%m", 10: "%Y-%m-%d", 19: "%Y-%m-%dT%H:%M:%S"}
# The zone is put on below; around a leap day and around a new year the ends of months and years are near.
MOMENTS = st.datetimes(datetime(2024, 2, 27), datetime(2024, 3, 2)) | st.datetimes(  # noqa: DTZ001  as said above
    datetime(2023, 11, 29),  # noqa: DTZ001  as said above
    datetime(2024, 1, 3),  # noqa: DTZ001  as said above
)


def written(moment: datetime, digits: int) -> str:
    return moment.strftime(FORMS[digits])


@settings(max_examples=400)
@given(MOMENTS, MOMENTS, MOMENTS, st.sampled_from(list(FORMS)), st.sampled_from(list(FORMS)), st.integers(-14, 14))
def test_an_end_holds_as_far_as_it_is_written(
    start: datetime, end: datetime, now: datetime, before: int, after: int, hours: int
) -> None:
    """The oracle never parses: what is cut to the same length compares like text."""
    zone = timezone(timedelta(hours=hours))
    offset = f"{'-' if hours < 0 else '+'}{abs(hours):02d}:00"
    begins, ends = written(start, before), written(end, after)
    period = {"start": begins + offset * (before == 19), "end": ends + offset * (after == 19)}

    expected = begins <= written(now, before) and written(now, after) <= ends
    assert covers(period, now.replace(tzinfo=zone)) is (Match.YES if expected else Match.NO)
