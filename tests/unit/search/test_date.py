"""R4 search, date: what is asked and what is stored are stretches of time."""

from zoneinfo import ZoneInfo

import pytest

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.language import Language
from fhir_server.search.parse import parse
from fhir_server.search.plan import plan
from fhir_server.search.types.moment import stretch
from tests.unit.search.asking import BASE, finds, observation, patient


def day(text: str, asked: str) -> bool:
    return finds(patient(birthDate=text), f"birthdate={asked}")


def at(text: str, asked: str) -> bool:
    return finds(observation(effectiveDateTime=text), f"date={asked}")


def during(start: str | None, end: str | None, *asked: str) -> bool:
    period = {name: text for name, text in (("start", start), ("end", end)) if text}
    return finds(observation(effectivePeriod=period), *(f"date={each}" for each in asked))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("2013-01-14", True),
        ("eq2013-01-14", True),
        ("2013-01", True),
        ("2013", True),
        ("2013-01-15", False),
        ("2013-01-14T10:00", False),
        ("ne2013-01-14", False),
        ("ne2013-01-15", True),
        ("lt2013-01-14T10:00", True),
        ("gt2013-01-14T10:00", True),
        ("lt2013-01-14", False),
        ("gt2013-01-14", False),
        ("lt2013-01-15", True),
        ("gt2013-01-13", True),
        ("ge2013-01-14", True),
        ("le2013-01-14", True),
        ("ge2013-01-15", False),
        ("le2013-01-13", False),
        ("ge2013", True),
        ("le2013", True),
        ("sa2013-01-13", True),
        ("sa2013-01-14", False),
        ("eb2013-01-15", True),
        ("eb2013-01-14", False),
        ("ap2013-01-15", True),
        ("ap2013-01-16", False),
        ("ap2013-02", True),
        ("ap2014", True),
        ("ap2015", False),
    ],
)
def test_r_fhir_049_a_stored_day_against_every_prefix(asked: str, *, expected: bool) -> None:
    assert day("2013-01-14", asked) is expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("ge2013-03-14", True),
        ("gt2030", True),
        ("sa2013-01-20", True),
        ("sa2013-01-21", False),
        ("le2013-01-22", True),
        ("le2013-01-21", False),
        ("lt2013-01-22", True),
        ("lt2013-01-21", False),
        ("eq2013", False),
        ("ne2013", True),
        ("eb2100", False),
        ("ap2014", True),
    ],
)
def test_r_fhir_050_a_period_that_is_still_open(asked: str, *, expected: bool) -> None:
    assert during("2013-01-21", None, asked) is expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("lt1980", True),
        ("le2013", True),
        ("eb2013-01-22", True),
        ("eb2013-01-21", False),
        ("sa1900", False),
        ("ge2014", False),
    ],
)
def test_a_period_whose_beginning_is_unknown(asked: str, *, expected: bool) -> None:
    assert during(None, "2013-01-21", asked) is expected


def test_r_fhir_050_a_moment_is_before_the_end_of_the_day_that_holds_it() -> None:
    assert day("2013-01-14", "lt2013-01-14T10:00")
    assert not day("2013-01-14", "lt2013-01-14T00:00")


def test_r_fhir_049_time_zones_are_converted() -> None:
    assert at("2013-01-14T23:30:00-05:00", "2013-01-15")
    assert at("2013-01-14T23:30:00-05:00", "2013-01-15T04:30Z")
    assert at("2013-01-14T23:30:00-05:00", "eq2013-01-15T05:30:00+01:00")
    assert not at("2013-01-14T23:30:00-05:00", "2013-01-14")


def test_r_fhir_049_a_plus_that_arrives_as_a_space_is_understood() -> None:
    assert at("2013-01-15T04:30:00Z", "2013-01-15T05:30:00 01:00")


def test_seconds_and_their_fractions_have_their_own_precision() -> None:
    assert at("2013-01-15T04:30:00.5Z", "2013-01-15T04:30:00Z")
    assert at("2013-01-15T04:30:00.123Z", "gt2013-01-15T04:30:00.122Z")
    assert not at("2013-01-15T04:30:00Z", "2013-01-15T04:30:00.5Z"), "a whole second is not inside its half"
    assert at("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"), "a leap second"


def test_r_fhir_052_several_dates_all_apply() -> None:
    assert during("2013-01-10", "2013-02-10", "ge2013-01-20", "lt2013-01-22")
    assert not during("2013-01-10", "2013-01-15", "ge2013-01-20", "lt2013-01-22")
    assert finds(observation(effectiveDateTime="2013-01-21T10:00:00Z"), "date=ge2013-01-21", "date=lt2013-01-22")


@pytest.mark.parametrize("after", ["ge2013-01-15", "gt2013-01-14", "sa2013-01-14"])
@pytest.mark.parametrize("before", ["le2013-01-15", "lt2013-01-16", "eb2013-01-16"])
def test_a_day_between_two_others_is_found_by_any_pair_of_ends(after: str, before: str) -> None:
    assert finds(observation(effectiveDateTime="2013-01-15T00:00:00Z"), f"date={after}", f"date={before}")
    assert finds(observation(effectiveDateTime="2013-01-15T23:59:59Z"), f"date={after}", f"date={before}")
    assert not finds(observation(effectiveDateTime="2013-01-14T23:59:59Z"), f"date={after}", f"date={before}")
    assert not finds(observation(effectiveDateTime="2013-01-16T00:00:00Z"), f"date={after}", f"date={before}")


@pytest.mark.parametrize(
    "asked", ["ge2013-01-14", "gt2013-01-13", "gt2013-01-14", "le2013-01-12", "lt2013-01-12", "ap2013-01-12"]
)
def test_a_period_of_some_days_is_found_by_those_in_between(asked: str) -> None:
    assert during("2013-01-10", "2013-01-15", asked)
    assert during("2012-12-30", "2013-01-15", asked)
    assert during("2003-12-30", "2013-01-15", asked)


def test_of_a_timing_the_outer_limits_count() -> None:
    timing = {"event": ["2013-03-01", "2013-01-14", "never"], "repeat": {"boundsPeriod": {"start": "2013-01-20"}}}

    assert finds(observation(effectiveTiming=timing), "date=lt2013-01-15", "date=ge2030")
    assert not finds(observation(effectiveTiming=timing), "date=lt2013-01-14")
    assert finds(observation(effectiveTiming={"repeat": {"count": 3}}), "date:missing=true")


def test_a_period_that_ends_before_it_begins_is_found_where_it_begins() -> None:
    assert during("2013-02-01", "2013-01-01", "ge2013-02-01", "le2013-02-01")


@pytest.mark.parametrize("period", [{}, {"start": "soon"}, {"start": 7}])
def test_a_period_without_dates_is_no_value(period: dict[str, object]) -> None:
    assert finds(observation(effectivePeriod=period), "date:missing=true")


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "20",
        "2013-1",
        "2013-02-30",
        "2013-13",
        "2013-01-14T25:00",
        "2013-01-14T10",
        "eq",
        "po2013",
        "GE2013",
        "0000",
    ],
)
def test_r_fhir_045_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequestError):
        day("2013", value)


@pytest.mark.parametrize("text", ["9999", "9999-12", "9999-12-31", "0001", "0001-01-01", "1850-05-05", "2150-01"])
def test_the_ends_of_the_calendar_are_dates_too(text: str) -> None:
    assert day(text, text)
    assert day(text, f"ge{text}")
    assert day(text, f"le{text}")
    assert not day(text, f"sa{text}")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_zone_may_lead_out_of_the_calendar(text: str) -> None:
    assert at(text, "ge0001") == at(text, "gt0001-01-01")
    assert at(text, f"eq{text}")


def test_a_stretch_is_as_long_as_its_precision() -> None:
    lengths = {text: found.high - found.low for text in ("2012", "2012-02", "2012-02-29") if (found := stretch(text))}

    assert lengths == {"2012": 366 * 86_400_000_000, "2012-02": 29 * 86_400_000_000, "2012-02-29": 86_400_000_000}


SYDNEY = Language(BASE, ZoneInfo("Australia/Sydney"))


def in_sydney(stored: str, *asked: str) -> bool:
    return finds(observation(effectiveDateTime=stored), *(f"date={each}" for each in asked), language=SYDNEY)


def test_r_fhir_049_a_day_is_the_clinics_own() -> None:
    morning = "2024-05-01T08:30:00+10:00"

    assert in_sydney(morning, "2024-05-01", "ge2024-05-01", "le2024-05-01", "2024-05-01T08:30", "2024-04-30T22:30:00Z")
    assert not in_sydney(morning, "2024-04-30")
    assert at(morning, "2024-04-30"), "without a time zone set, days are those of UTC"


def test_r_fhir_049_what_is_stored_without_a_zone_is_meant_there_too() -> None:
    assert in_sydney("2024-05-01", "2024-05-01", "ge2024-04-30T14:00:00Z", "lt2024-05-01T00:00:00Z")
    assert not in_sydney("2024-05-01", "2024-04-30", "2024-05-02")
    assert in_sydney("2024-05", "2024-05", "eb2024-05-31T14:00:00Z")
    assert not in_sydney("2024-05-01", "sa2024-04-30T14:00:01Z")
    period = observation(effectivePeriod={"start": "2024-05-01", "end": "2024-05-02T12:00:00Z"})
    assert finds(period, "date=ge2024-04-30T14:00:00Z", "date=lt2024-04-30T14:00:01Z", language=SYDNEY)
    assert not finds(period, "date=lt2024-04-30T14:00:00Z", language=SYDNEY)


def test_a_birth_date_has_no_zone_to_be_shifted_by() -> None:
    born = patient(birthDate="1980-05-01")

    assert finds(born, "birthdate=1980-05-01", "birthdate=ge1980-05-01", "birthdate=le1980-05-01", language=SYDNEY)
    assert not finds(born, "birthdate=lt1980-05-01", language=SYDNEY)
    assert finds(born, "birthdate=gt1980-04-30T13:00:00Z", language=SYDNEY)
    parsed = parse("Patient", [("birthdate", "1980-05-01")], SYDNEY)
    assert [len(group.any_of) for group in plan(parsed)] == [1], "one day is one keyword"


def test_the_hour_that_clocks_show_twice_is_the_first_one() -> None:
    twice = "2024-04-07T02:30:00"

    assert in_sydney(twice, "2024-04-07T02:30:00+11:00", "2024-04-07T02:30")
    assert not in_sydney(twice, "2024-04-07T02:30:00+10:00")
    assert in_sydney("2024-10-06T02:30:00", "2024-10-06"), "an hour that clocks skip lies somewhere in its day"


@pytest.mark.parametrize("text", ["0001", "9999", "9999-12-31T23:59:59", "0001-01-01T00:00:00"])
def test_the_ends_of_the_calendar_have_no_other_zone(text: str) -> None:
    assert in_sydney(text, text)
