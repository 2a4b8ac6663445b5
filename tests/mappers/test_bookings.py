"""What the booking systems' messages come to, rule by rule."""

from dataclasses import replace
from typing import Any

import pytest

from fhir_server.kernel import json
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Tables
from tests.mappers.golden import named


def appointment(name: str) -> Any:
    entries = named(name).mapped().bundle["entry"]
    [found] = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "Appointment"]
    return found


def changed(name: str, **given: Any) -> Any:
    """The same case with these fields of the body's top level instead."""
    case = named(name)
    return replace(case, message=replace(case.message, raw=json.encode(json.decode(case.message.raw) | given)))


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("calcom/booking-created", "booked"),
        ("calcom/booking-requested", "pending"),
        ("calcom/booking-rescheduled", "booked"),
        ("calcom/booking-cancelled", "cancelled"),
        ("calcom/booking-rejected", "cancelled"),
        ("calcom/booking-no-show", "noshow"),
        ("calendly/invitee-created", "booked"),
        ("calendly/invitee-canceled", "cancelled"),
        ("calendly/no-show", "noshow"),
        ("cliniko/appointment", "booked"),
        ("cliniko/appointment-arrived", "arrived"),
        ("cliniko/appointment-cancelled", "cancelled"),
        ("cliniko/appointment-deleted", "entered-in-error"),
        ("cliniko/appointment-did-not-arrive", "noshow"),
        ("nextmotion/appointment-confirmed", "booked"),
        ("nextmotion/appointment-waiting-room", "arrived"),
        ("nextmotion/appointment-seen-and-paid", "fulfilled"),
        ("nextmotion/appointment-last-minute", "cancelled"),
        ("nextmotion/appointment-absent", "noshow"),
        ("nextmotion/appointment-deleted", "entered-in-error"),
        ("pabau/appointment-waiting", "booked"),
        ("pabau/appointment-running-late", "booked"),
        ("pabau/appointment-complete", "fulfilled"),
        ("pabau/appointment-no-show", "noshow"),
        ("pabau/appointment-cancelled", "cancelled"),
        ("pabau/appointment-own-status", "checked-in"),
    ],
)
def test_the_status_is_what_the_source_says(name: str, status: str) -> None:
    assert appointment(name)["status"] == status


@pytest.mark.parametrize("name", ["calcom/booking-rescheduled", "calendly/rescheduled-new"])
def test_a_rescheduled_visit_bears_both_identifiers(name: str) -> None:
    uses = [one.get("use") for one in appointment(name)["identifier"]]

    assert "old" in uses


def test_the_cancelled_half_of_a_calendly_reschedule_changes_nothing() -> None:
    assert not named("calendly/rescheduled-old").mapped().bundle.get("entry")


def test_that_a_meeting_ended_says_not_that_anybody_came() -> None:
    assert not named("calcom/meeting-ended").mapped().bundle.get("entry")


def test_of_two_guests_the_one_whom_the_form_names_is_the_patient() -> None:
    mapped = named("calcom/two-guests").mapped()

    [patient] = [e["resource"] for e in mapped.bundle["entry"] if e["resource"]["resourceType"] == "Patient"]
    assert patient["name"] == [{"text": "Léa Martin"}]
    assert "payload.attendees[1].name" in {loss.path for loss in mapped.losses}


def test_nobody_is_matched_on_an_e_mail_alone() -> None:
    """The same person in two bookings is two patients and two questions, until somebody answers them."""
    first, second = named("calcom/booking-created").mapped(), named("calcom/two-guests").mapped()

    assert first.questions[0].patient != second.questions[0].patient
    assert first.questions[0].known_by == ("name", "email", "phone")


def test_a_block_is_a_slot_and_no_visit() -> None:
    types = [entry["resource"]["resourceType"] for entry in named("cliniko/block").mapped().bundle["entry"]]

    assert types == ["Schedule", "Slot", "Provenance"]


def test_the_clinics_table_names_the_practitioner() -> None:
    references = [one["actor"].get("reference") for one in appointment("calcom/booking-created")["participant"]]

    assert "Practitioner/anais" in references


def test_no_time_zone_is_guessed() -> None:
    case = replace(named("pabau/appointment-waiting"), tables=Tables())

    with pytest.raises(UnusableError, match="time zone is not set"):
        case.mapped()


@pytest.mark.parametrize(("day", "hour"), [("2025-10-26", "01:30:00"), ("2025-03-30", "01:30:00")])
def test_a_time_that_came_twice_or_never_is_refused(day: str, hour: str) -> None:
    dates = {"start_date": day, "start_time": hour, "duration": 30}

    with pytest.raises(UnusableError, match="clocks change"):
        changed("pabau/appointment-waiting", dates=dates).mapped()


def test_a_status_that_the_clinic_made_up_is_not_guessed() -> None:
    case = replace(named("pabau/appointment-own-status"), tables=named("pabau/appointment-waiting").tables)

    with pytest.raises(UnusableError, match="table does not know"):
        case.mapped()


def test_a_status_that_nextmotion_adds_is_not_passed_over() -> None:
    with pytest.raises(UnusableError, match="status is unknown"):
        changed("nextmotion/appointment-confirmed", statuses=["confirmed", "teleported"]).mapped()


def test_a_field_that_a_vendor_adds_later_is_a_loss_from_the_first_day() -> None:
    losses = changed("cliniko/appointment", brand_new={"field": 1}).mapped().losses

    assert "brand_new.field" in {loss.path for loss in losses}


def test_a_visit_without_an_id_says_that_a_move_cannot_be_told() -> None:
    assert named("pabau/appointment-without-id").mapped().losses[0].path == "id"


@pytest.mark.parametrize(
    "link", ["https://evil.example/v1/patients/77", "https://api.uk1.cliniko.com/v1/patients/x", 7]
)
def test_a_link_that_is_not_clinikos_is_refused_or_nobodys(link: object) -> None:
    with pytest.raises(UnusableError):
        changed("cliniko/appointment", patient={"links": {"self": link}}).mapped()
