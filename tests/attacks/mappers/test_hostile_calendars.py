"""Calendars made to keep a parser busy, to nest without end, or to bring rules and addresses of their own."""

from datetime import UTC, datetime
from time import process_time

import pytest

from mappers.booking.icalendar.events import read
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Message, Tables

RECEIVED = datetime(2026, 11, 2, tzinfo=UTC)


def event(*lines: str) -> str:
    return "\r\n".join(
        [
            "BEGIN:VEVENT",
            "UID:a@b",
            "DTSTAMP:20261101T080000Z",
            "DTSTART:20261101T100000Z",
            "DTEND:20261101T103000Z",
            "ORGANIZER:mailto:a@b.example",
            *lines,
            "END:VEVENT",
        ]
    )


def calendar(*parts: str) -> Message:
    return Message("\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *parts, "END:VCALENDAR", ""]).encode(), RECEIVED)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY;COUNT=10",
        "FREQ=HOURLY",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;BYHOUR=1,2,3,4;BYMINUTE=1,2,3",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYDAY=6MO",
        "FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=5",
        "FREQ=MONTHLY;BYSETPOS=0;BYDAY=MO",
        "FREQ=WEEKLY;BYEASTER=0",
        "COUNT=3",
        "FREQ=NEVER",
        "",
    ],
)
def test_a_rule_without_end_or_sense_is_refused_at_once(rule: str) -> None:
    began = process_time()

    with pytest.raises(UnusableError):
        read(calendar(event(f"RRULE:{rule}")), Tables())

    assert process_time() - began < 1


def test_a_rule_that_began_long_ago_is_refused() -> None:
    with pytest.raises(UnusableError):
        read(calendar(event("RRULE:FREQ=DAILY").replace("DTSTART:2026", "DTSTART:0106")), Tables())


def test_the_largest_rule_that_is_taken_is_worked_out_in_time() -> None:
    began = process_time()

    daily = event("RRULE:FREQ=DAILY").replace(":20261101T10", ":20171101T10")
    entries = read(calendar(daily), Tables()).bundle["entry"]

    assert 365 < len(entries) < 402
    assert process_time() - began < 5


@pytest.mark.parametrize(
    "parts",
    [
        ("BEGIN:VEVENT",),
        ("END:VEVENT",),
        ("BEGIN:VEVENT", "END:VTODO"),
        ("BEGIN:VEVENT",) * 50 + ("END:VEVENT",) * 50,
        (event(),) * 501,
        ("X" * 1_100_000,),
        ("BEGIN:VEVENT\r\nUID", "END:VEVENT"),
        (event("RDATE:19000101T000000Z", "SEQUENCE:;;;"),),
    ],
)
def test_a_calendar_without_shape_or_measure_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(UnusableError):
        read(calendar(*parts), Tables())


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe", b"MSH|^~\\&|", b"BEGIN:VCALENDAR\r\n", b"{}", b"BEGIN:VEVENT\r\nEND:VEVENT"]
)
def test_what_is_no_calendar_is_refused(raw: bytes) -> None:
    with pytest.raises(UnusableError):
        read(Message(raw, RECEIVED), Tables())


def test_a_zone_that_the_sender_defines_is_not_believed() -> None:
    zone = "BEGIN:VTIMEZONE\r\nTZID:Mine\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\nRRULE:FREQ=SECONDLY\r\n"
    zone += "TZOFFSETFROM:+0000\r\nTZOFFSETTO:+0900\r\nEND:STANDARD\r\nEND:VTIMEZONE"

    with pytest.raises(UnusableError, match="none is guessed"):
        read(
            calendar(zone, event().replace("DTSTART:", "DTSTART;TZID=Mine:").replace("00Z\r\nDTEND", "00\r\nDTEND")),
            Tables(),
        )


def test_an_alarm_and_what_it_attaches_are_left_out() -> None:
    alarm = "BEGIN:VALARM\r\nACTION:AUDIO\r\nATTACH:http://169.254.169.254/latest\r\nEND:VALARM"

    mapped = read(calendar(event(alarm, "ATTACH:http://127.0.0.1/x")), Tables())

    assert "http://1" not in str(mapped)
    assert "VEVENT.ATTACH" in {loss.path for loss in mapped.losses}
