"""iCalendar and iTIP, in and out: sequence, zones, repetition, answers; a feed that says busy and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappers.booking.icalendar.busy import feed, periods
from mappers.booking.icalendar.events import read
from mappers.booking.icalendar.writing import Edition, Party, itip
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Message, Tables
from mappers.mapping.stamps import stamps
from tests.mappers.golden import RECEIVED, named

CLINIC, ZOE = Party("mailto:anais@clinic.example", "Dr Moreau"), Party("mailto:zoe@example.org", "Zoë Hart", "accepted")


def visits(name: str) -> list[Any]:
    entries = named(f"icalendar/{name}").mapped().bundle["entry"]
    return [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "Appointment"]


def without(name: str, line: str, instead: str = "X-NONE:1") -> Message:
    case = named(f"icalendar/{name}")
    assert line.encode() in case.message.raw
    return replace(case.message, raw=case.message.raw.replace(line.encode(), instead.encode()))


def test_a_time_in_paris_is_an_instant_that_remembers_paris() -> None:
    [visit] = visits("request")

    assert visit["start"] == "2026-12-10T09:00:00Z"
    assert visit["_start"]["extension"][0]["valueCode"] == "Europe/Paris"


def test_a_later_sequence_has_a_later_stamp() -> None:
    [first], [moved] = visits("request"), visits("request-moved")

    assert stamps(first)["*"] < stamps(moved)["*"]


def test_a_series_is_told_visit_by_visit_across_the_change_of_clocks() -> None:
    starts = [visit["start"] for visit in visits("weekly")]

    assert starts == ["2026-10-19T09:00:00Z", "2026-10-26T10:00:00Z", "2026-11-10T15:00:00Z"]


def test_the_moved_visit_of_a_series_keeps_its_recurrence_id_and_its_own_sequence() -> None:
    moved = visits("weekly")[-1]

    assert moved["identifier"][0]["value"] == "series-1@example.org;RECURRENCE-ID=20261109T100000Z"
    assert stamps(moved)["*"].sequence == 2


def test_a_reply_changes_one_answer_and_nothing_else() -> None:
    [part] = visits("reply")

    assert part.keys() == {"resourceType", "meta", "identifier", "participant", "extension"}
    assert part["participant"][0]["status"] == "accepted"
    assert (
        part["participant"][0]["actor"]["identifier"] == visits("request")[0]["participant"][0]["actor"]["identifier"]
    )


def test_a_cancelled_series_means_all_its_visits_and_one_means_one() -> None:
    [series], [one] = visits("cancel-series"), visits("cancel-one-of-series")

    assert [known["value"] for known in series["identifier"]] == ["series-1@example.org"] * 2
    assert one["identifier"][0] == visits("weekly")[1]["identifier"][0]


def test_of_several_who_are_invited_nobody_is_taken_for_the_patient() -> None:
    mapped = named("icalendar/several-invited").mapped()

    assert not mapped.questions


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("DTSTART;TZID=Europe/Paris:20261210T100000", "DTSTART:20261210T100000"),
        ("DTSTART;TZID=Europe/Paris:20261210T100000", "DTSTART;TZID=Our Town:20261210T100000"),
        ("DTSTART;TZID=Europe/Paris:20261210T100000", "DTSTART;VALUE=DATE:20261210"),
        ("UID:visit-1@example.org", "X-NONE:1"),
        ("DTSTAMP:20261101T080000Z", "X-NONE:1"),
        ("DTEND;TZID=Europe/Paris:20261210T104500", "X-NONE:1"),
        ("DTEND;TZID=Europe/Paris:20261210T104500", "DTEND;TZID=Europe/Paris:20261210T100000"),
        ("SEQUENCE:0", "SEQUENCE:first"),
        ("STATUS:CONFIRMED", "STATUS:MAYBE"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(line: str, instead: str) -> None:
    with pytest.raises(UnusableError):
        read(without("request", line, instead), Tables())


def test_no_address_in_an_event_is_carried() -> None:
    mapped = named("icalendar/tentative-private").mapped()

    assert "secret" not in str(mapped.bundle)
    assert "VEVENT.URL" in {loss.path for loss in mapped.losses}
    [visit] = visits("tentative-private")
    assert (visit["status"], visit["meta"]["security"][0]["code"]) == ("pending", "R")


moments = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC))  # noqa: DTZ001  made aware right here
texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=80)


@settings(max_examples=60, deadline=None)
@given(
    moments, st.integers(5, 600), texts, texts, st.integers(0, 9), st.sampled_from(["booked", "pending", "cancelled"])
)
def test_an_appointment_that_goes_out_comes_back(
    start: datetime, minutes: int, title: str, note: str, sequence: int, status: str
) -> None:
    def instant(at: datetime) -> str:
        return at.isoformat().replace("+00:00", "Z")

    sent = {
        "resourceType": "Appointment",
        "identifier": [{"system": "urn:ietf:rfc:5545:uid", "value": "round@example.org"}],
        "status": status,
        "start": instant(start),
        "end": instant(start + timedelta(minutes=minutes)),
        "description": title,
        "comment": note,
    }

    raw = itip(sent, "REQUEST", Edition(RECEIVED, sequence), CLINIC, (ZOE,))
    entries = read(Message(raw, RECEIVED), Tables()).bundle["entry"]

    [back] = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "Appointment"]
    assert {element: back[element] for element in sent} == sent
    assert stamps(back)["*"].sequence == sequence
    assert back["participant"][0]["status"] == "accepted"


def test_a_cancellation_goes_out_and_comes_back_as_one() -> None:
    visit = visits("weekly")[1] | {"status": "booked"}

    raw = itip(visit, "CANCEL", Edition(RECEIVED, 7), CLINIC, (ZOE,))
    [part] = [
        e["resource"] for e in read(Message(raw, RECEIVED), Tables()).bundle["entry"] if "status" in e["resource"]
    ]

    assert part["identifier"] == visit["identifier"][:1]
    assert part["status"] == "cancelled"


def test_m18_a_feed_says_when_somebody_is_taken_and_nothing_else() -> None:
    taken = [*visits("request"), *visits("weekly"), {"resourceType": "Slot", "status": "free", "start": "", "end": ""}]

    said = feed(periods(taken), "secret of this feed", RECEIVED).decode()

    assert said.count("BEGIN:VEVENT") == 4
    assert "20261210T090000Z" in said
    for word in ("Zoë", "zoe", "Consultation", "laser", "visit-1", "series-1", "anais", "Room"):
        assert word not in said


def test_ids_of_two_feeds_cannot_be_laid_side_by_side() -> None:
    taken = periods(visits("request"))

    first, second = (set(feed(taken, secret, RECEIVED).decode().split()) for secret in ("one feed", "another"))

    assert not {line for line in first & second if line.startswith("UID:")}


def test_what_touches_is_one_and_what_is_cancelled_is_free() -> None:
    def visit(start: str, end: str, status: str = "booked") -> dict[str, str]:
        return {"resourceType": "Appointment", "status": status, "start": start, "end": end}

    found = periods(
        [
            visit("2026-01-01T10:00:00Z", "2026-01-01T10:30:00Z"),
            visit("2026-01-01T10:30:00Z", "2026-01-01T11:00:00Z"),
            visit("2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z", "cancelled"),
        ]
    )

    assert [(start.hour, end.hour) for start, end in found] == [(10, 11)]
