"""What a receiver of SIU is told: golden messages, triggers by what changed; what comes back is the same one."""

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from mappers.hl7v2.messages import read
from mappers.hl7v2.parsing import parsed
from mappers.hl7v2.sending import Ends, siu
from mappers.hl7v2.telling import Told, number_of, outstanding, told, trigger
from mappers.hl7v2.telling import read as remembered
from mappers.mapping.message import Message, Tables
from mappers.mapping.result import Order
from mappers.mapping.stamps import stamped
from tests.mappers.golden import FOLDER, RECEIVED, RENEW, named

Json = dict[str, Any]
ENDS = Ends(("FHIR", "CLINIC"), ("EHR", "HAUTE"))
SENT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [
        {"system": "urn:oid:1.2.3.4", "value": "4471"},
        {"use": "secondary", "system": "urn:aesthetic-fhir-server:mappers:copy-of", "value": "https://x.example/1"},
    ],
    "name": [{"family": "O'Neil|Lefèvre", "given": ["Zoé"]}],
    "birthDate": "1990-07-14",
}
BOOKED: Json = {
    "resourceType": "Appointment",
    "id": "a1",
    "meta": {"versionId": "1"},
    "status": "booked",
    "start": "2026-03-02T09:00:00Z",
    "end": "2026-03-02T09:30:00Z",
    "reasonCode": [{"text": "Consultation & advice"}],
    "participant": [
        {"actor": {"reference": "Patient/p1"}, "status": "accepted"},
        {
            "actor": {"type": "Practitioner", "identifier": {"system": "urn:x", "value": "7"}, "display": "Anaïs"},
            "status": "accepted",
        },
    ],
}
MOVED = {**BOOKED, "meta": {"versionId": "2"}, "start": "2026-03-03T10:00:00Z", "end": "2026-03-03T10:30:00Z"}
CHANGED = {**BOOKED, "meta": {"versionId": "2"}, "reasonCode": [{"text": "Control"}]}


def with_status(status: str) -> Json:
    return {**BOOKED, "meta": {"versionId": "2"}, "status": status}


CASES = {
    "S12": BOOKED,
    "S13": MOVED,
    "S14": CHANGED,
    "S15": with_status("cancelled"),
    "S17": with_status("entered-in-error"),
    "S26": with_status("noshow"),
}


@pytest.mark.parametrize("what", CASES)
def test_each_message_is_the_one_that_is_kept(what: str) -> None:
    """Made from the standard; never taken by a receiver of a vendor's."""
    kept = FOLDER / "hl7v2" / "out" / f"siu-{what.lower()}.hl7"

    text = siu(CASES[what], PATIENT, what, ENDS, SENT, "CONTROL1", "a1").decode().replace("\r", "\n")

    if os.environ.get(RENEW):
        kept.write_text(text)
    assert text == kept.read_text()


@pytest.mark.parametrize("what", CASES)
def test_what_goes_out_comes_back_as_the_same_appointment(what: str) -> None:
    sent = CASES[what]

    raw = siu(sent, PATIENT, what, ENDS, SENT, "CONTROL1", "a1")
    entries = read(Message(raw, RECEIVED), Tables()).bundle["entry"]

    [back] = [one["resource"] for one in entries if one["resource"]["resourceType"] == "Appointment"]
    assert [back[name] for name in ("status", "start", "end")] == [sent[name] for name in ("status", "start", "end")]
    assert (back["identifier"][0]["value"], back["reasonCode"]) == ("a1", sent["reasonCode"])
    [who] = [one["resource"] for one in entries if one["resource"]["resourceType"] == "Patient"]
    assert [one["value"] for one in who["identifier"]] == ["4471"]
    assert who["name"] == [{"family": "O'Neil|Lefèvre", "given": ["Zoé"]}]


@pytest.mark.parametrize("what", [one for one in CASES if one != "S12"])
def test_what_is_told_follows_from_what_changed_since_it_was_told(what: str) -> None:
    assert trigger(told(BOOKED, "a1"), CASES[what]) == what
    assert trigger(told(CASES[what], "a1"), CASES[what]) in {None, what}


def test_what_is_new_is_told_as_new_and_what_ended_untold_is_not_told() -> None:
    assert trigger(None, BOOKED) == "S12"
    assert trigger(None, with_status("cancelled")) is None
    assert trigger(None, with_status("proposed")) is None
    assert trigger(told(BOOKED, "a1"), BOOKED) is None
    assert trigger(told(BOOKED, "a1"), with_status("arrived")) == "S14"
    assert trigger(told(with_status("cancelled"), "a1"), BOOKED) == "S12"
    assert trigger(told(with_status("cancelled"), "a1"), with_status("cancelled")) is None


def test_what_was_told_is_remembered_word_for_word() -> None:
    one = told(BOOKED, "a1")

    assert remembered(one.written()) == one
    assert isinstance(one, Told)


def theirs(version: str, instant: str, **more: Any) -> Json:
    """As it stands here after a message of the receiver's own."""
    made = named("hl7v2/siu-s12").mapped().bundle["entry"]
    [mine] = [one["resource"] for one in made if one["resource"]["resourceType"] == "Appointment"]
    return {**stamped(mine, Order(0, instant, "1")), "id": "a1", "meta": {"versionId": version}, **more}


def test_what_came_from_the_receiver_is_not_told_back_and_what_was_changed_here_is() -> None:
    first, second = theirs("1", "2026-01-01T00:00:00Z"), theirs("2", "2026-01-02T00:00:00Z", comment="Moved")
    cancelled = theirs("3", "2026-01-02T00:00:00Z", status="cancelled")

    known, last = outstanding(None, [first, second], ENDS)
    after, ours = outstanding(known, [cancelled], ENDS)
    missed, also = outstanding(None, [first, {**cancelled, "extension": first["extension"]}], ENDS)

    assert (last, known and known.version) == (None, "2")
    assert (after, ours) == (known, cancelled)
    assert missed is not None
    assert also is not None
    assert trigger(missed, also) == "S15"


def test_another_receiver_is_told_of_it() -> None:
    elsewhere = Ends(ENDS.sender, ("LAB", "OTHER"))

    known, last = outstanding(None, [theirs("1", "2026-01-01T00:00:00Z")], elsewhere)

    assert known is None
    assert last is not None
    assert trigger(known, last) == "S12"


def test_the_number_is_the_one_it_came_with_and_no_copy_s() -> None:
    copied = {"use": "secondary", "system": "urn:x", "value": "https://x.example/1"}

    assert number_of({**BOOKED, "identifier": [copied]}) == "a1"
    assert number_of({**BOOKED, "identifier": [copied, {"system": "urn:y", "value": "7"}]}) == "7"
    assert parsed(siu(BOOKED, PATIENT, "S12", ENDS, SENT, "C", "n1")).need("SCH").text(2) == "n1"
