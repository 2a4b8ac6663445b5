"""`Appointment/$find`, `$hold`, `$book`, `$cancel`: a time is one person's, whoever asks at the same instant.

IHE ITI Scheduling 1.0, ITI-115 to -117.
"""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import Response

from fhir_server.engine.booking import HELD_UNTIL, MOST_AHEAD
from fhir_server.kernel.clock import instant
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio

PEOPLE = ("booking-ann", "booking-ben")


@pytest.fixture(scope="module")
async def desk(clinic: InProcess) -> Caller:
    found = clinic.caller("system/*.cruds")
    for id in PEOPLE:
        await found.store({**patient("Booked"), "id": id})
    await found.store({"resourceType": "Practitioner", "id": "booking-doctor", "name": [{"family": "Who"}]})
    await found.store(
        {"resourceType": "Schedule", "id": "booking-days", "actor": [{"reference": "Practitioner/booking-doctor"}]}
    )
    return found


async def slot(desk: Caller, id: str, hour: int = 9, status: str = "free") -> str:
    """A free half hour; its reference as a proposal."""
    day = f"2031-05-06T{hour:02}"
    await desk.store(
        {
            "resourceType": "Slot",
            "id": id,
            "schedule": {"reference": "Schedule/booking-days"},
            "status": status,
            "start": f"{day}:00:00Z",
            "end": f"{day}:30:00Z",
            "serviceType": [{"coding": [{"system": "urn:example:services", "code": "filler"}]}],
        }
    )
    return f"Appointment/{id}"


def parameters(**given: Any) -> Json:
    listed = []
    for name, value in given.items():
        member = {"resource": value} if isinstance(value, dict) else {"valueReference": {"reference": value}}
        listed.append({"name": name.replace("_", "-"), **member})
    return {"resourceType": "Parameters", "parameter": listed}


async def booked(desk: Caller, reference: str, who: str = "Patient/booking-ann") -> Response:
    return await desk.post(
        "/fhir/Appointment/$book", parameters(appointment_reference=reference, patient_reference=who)
    )


async def state(desk: Caller, id: str) -> str:
    return str(read(await desk.get(f"/fhir/Slot/{id}"))["status"])


async def found(desk: Caller, query: str) -> list[str]:
    answer = await desk.get(f"/fhir/Appointment/$find?{query}")
    assert answer.status_code == 200, answer.text
    entries = read(answer).get("entry", [])
    assert all(one["resource"]["status"] == "proposed" for one in entries)
    return [one["resource"]["id"] for one in entries]


async def test_free_times_are_proposed_with_who_is_there(desk: Caller) -> None:
    await slot(desk, "find-1", 7)
    await slot(desk, "find-2", 6)
    await slot(desk, "find-busy", 7, "busy")

    assert await found(desk, "start=2031-05-06T06:00:00Z&end=2031-05-06T08:00:00Z") == ["find-2", "find-1"]
    assert await found(desk, "start=2031-05-06T06:00:00Z&end=2031-05-06T08:00:00Z&service-type=laser") == []
    asked = "start=2031-05-06T07:00:00Z&end=2031-05-06T08:00:00Z&practitioner=Practitioner/booking-doctor"
    assert await found(desk, asked) == ["find-1"]
    [entry] = read(await desk.get(f"/fhir/Appointment/$find?{asked}"))["entry"]
    assert entry["resource"]["participant"][0]["actor"]["reference"] == "Practitioner/booking-doctor"


async def test_a_proposal_is_booked_and_its_time_is_taken(desk: Caller) -> None:
    answer = await booked(desk, await slot(desk, "book-1"))

    assert answer.status_code == 200, answer.text
    appointment = read(answer)
    assert appointment["status"] == "booked"
    assert {each["actor"]["reference"] for each in appointment["participant"]} == {
        "Practitioner/booking-doctor",
        "Patient/booking-ann",
    }
    assert await state(desk, "book-1") == "busy"
    assert (await booked(desk, "Appointment/book-1", "Patient/booking-ben")).status_code == 409


async def test_fifty_ask_for_the_last_time_at_once_and_one_gets_it(desk: Caller) -> None:
    reference = await slot(desk, "last")

    answers = await asyncio.gather(*(booked(desk, reference, f"Patient/{PEOPLE[n % 2]}") for n in range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    there = read(await desk.get("/fhir/Appointment?slot=Slot/last&_summary=count"))
    assert there["total"] == 1


async def test_a_held_time_is_the_holders_alone_until_it_is_booked(desk: Caller) -> None:
    reference = await slot(desk, "held", 11)

    held = read(await desk.post("/fhir/Appointment/$hold", parameters(appointment_reference=reference)))

    assert held["status"] == "pending"
    assert await state(desk, "held") == "busy-tentative"
    assert await found(desk, "start=2031-05-06T11:00:00Z&end=2031-05-06T12:00:00Z") == []
    assert (await booked(desk, reference, "Patient/booking-ben")).status_code == 409
    answer = await booked(desk, f"Appointment/{held['id']}")
    assert answer.status_code == 200, answer.text
    assert read(answer)["id"] == held["id"]
    stored = read(await desk.get("/fhir/Slot/held"))
    assert (stored["status"], "extension" in stored) == ("busy", False)


async def test_a_hold_that_ran_out_gives_way_and_books_nothing_any_more(clinic: InProcess, desk: Caller) -> None:
    reference = await slot(desk, "expired", 12)
    first = read(await desk.post("/fhir/Appointment/$hold", parameters(appointment_reference=reference)))
    stored = read(await desk.get("/fhir/Slot/expired"))
    past = instant(clinic.clinic.surface.clock.now() - timedelta(minutes=1))
    for each in stored["extension"]:
        if each["url"] == HELD_UNTIL:
            each["valueInstant"] = past
    await desk.store(stored)

    assert await found(desk, "start=2031-05-06T12:00:00Z&end=2031-05-06T13:00:00Z") == ["expired"]
    second = read(await desk.post("/fhir/Appointment/$hold", parameters(appointment_reference=reference)))

    assert (await booked(desk, f"Appointment/{first['id']}")).status_code == 409
    assert (await desk.post(f"/fhir/Appointment/{first['id']}/$cancel")).status_code == 200
    assert await state(desk, "expired") == "busy-tentative"
    assert (await booked(desk, f"Appointment/{second['id']}", "Patient/booking-ben")).status_code == 200


@pytest.mark.parametrize("by", ["cancel", "book"])
async def test_a_cancelled_appointment_frees_its_time(desk: Caller, by: str) -> None:
    made = read(await booked(desk, await slot(desk, f"cancel-{by}", 14)))

    if by == "cancel":
        answer = await desk.post(f"/fhir/Appointment/{made['id']}/$cancel")
    else:
        asked = parameters(appointment_resource={**made, "status": "cancelled"})
        answer = await desk.post("/fhir/Appointment/$book", asked)

    assert read(answer)["status"] == "cancelled"
    assert await state(desk, f"cancel-{by}") == "free"
    assert (await desk.post(f"/fhir/Appointment/{made['id']}/$cancel")).status_code == 200
    assert (await booked(desk, f"Appointment/cancel-{by}", "Patient/booking-ben")).status_code == 200


async def test_to_cancel_frees_no_time_that_is_somebody_elses_by_now(desk: Caller) -> None:
    reference = await slot(desk, "freed-by-hand", 13)
    first = read(await booked(desk, reference))
    await desk.store({**read(await desk.get("/fhir/Slot/freed-by-hand")), "status": "free"})
    assert (await booked(desk, reference, "Patient/booking-ben")).status_code == 200

    answer = await desk.post(f"/fhir/Appointment/{first['id']}/$cancel")

    assert read(answer)["status"] == "cancelled"
    assert await state(desk, "freed-by-hand") == "busy"


async def test_a_whole_appointment_is_booked_for_the_slots_that_it_names(desk: Caller) -> None:
    await slot(desk, "whole", 15)
    appointment: Json = {
        "resourceType": "Appointment",
        "status": "pending",
        "start": "2031-05-06T15:00:00Z",
        "end": "2031-05-06T15:30:00Z",
        "slot": [{"reference": "Slot/whole"}],
        "participant": [{"actor": {"reference": "Patient/booking-ann"}, "status": "accepted"}],
    }

    answer = await desk.post("/fhir/Appointment/$book", parameters(appointment_resource=appointment))

    assert answer.status_code == 200, answer.text
    assert await state(desk, "whole") == "busy"
    again = await desk.post("/fhir/Appointment/$book", parameters(appointment_resource=appointment))
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("$hold", parameters(appointment_reference="Appointment/nowhere"), 404),
        ("$hold", parameters(), 400),
        (
            "$book",
            parameters(appointment_reference="Appointment/nowhere", patient_reference="Patient/booking-ann"),
            404,
        ),
        ("$book", parameters(appointment_resource={"resourceType": "Patient"}), 400),
        ("$book", parameters(appointment_resource={"resourceType": "Appointment", "status": "arrived"}), 409),
        ("$book", parameters(appointment_resource={"resourceType": "Appointment", "status": "pending"}), 400),
        ("$find", parameters(nonsense="x"), 400),
        ("$find", {"resourceType": "Bundle", "type": "collection"}, 400),
        ("nowhere/$cancel", b"", 404),
    ],
)
async def test_what_cannot_be_booked_is_told(desk: Caller, path: str, body: Json | bytes, status: int) -> None:
    assert (await desk.post(f"/fhir/Appointment/{path}", body)).status_code == status


async def test_nobody_is_booked_without_saying_who_comes(desk: Caller) -> None:
    reference = await slot(desk, "nobody", 16)

    assert (await desk.post("/fhir/Appointment/$book", parameters(appointment_reference=reference))).status_code == 400
    assert await state(desk, "nobody") == "free"


async def test_who_may_not_write_slots_books_nothing(clinic: InProcess, desk: Caller) -> None:
    reference = await slot(desk, "forbidden", 17)
    reader = clinic.caller("system/*.rs", client="reader")

    assert (await booked(reader, reference)).status_code == 403
    assert await state(desk, "forbidden") == "free"


# Patients who book for themselves: in person, by an app with the scopes that docs/api/booking.md names, or a relative.

OWN = ("patient/Appointment.crus", "patient/Slot.rs", "patient/Schedule.rs")


def themselves(clinic: InProcess, name: str, *scopes: str) -> Caller:
    return clinic.caller(*(scopes or OWN), role="patient", fhir_user=f"Patient/{name}", patient=name)


async def someone(desk: Caller) -> str:
    return str((await desk.store(patient("Books")))["id"])


async def test_patients_find_hold_book_and_cancel_for_themselves(clinic: InProcess, desk: Caller) -> None:
    reference, name = await slot(desk, "own", 9), await someone(desk)
    ann = themselves(clinic, name)

    assert await found(ann, "start=2031-05-06T09:00:00Z&end=2031-05-06T09:10:00Z&practitioner=Practitioner/x") == []
    assert "own" in await found(ann, "start=2031-05-06T09:00:00Z&end=2031-05-06T09:10:00Z")
    held = await ann.post("/fhir/Appointment/$hold", parameters(appointment_reference=reference))
    assert held.status_code == 200, held.text
    mine = f"Appointment/{read(held)['id']}"
    made = await ann.post("/fhir/Appointment/$book", parameters(appointment_reference=mine))
    assert made.status_code == 200, made.text
    assert {each["actor"]["reference"] for each in read(made)["participant"]} == {
        "Practitioner/booking-doctor",
        f"Patient/{name}",
    }
    assert await state(desk, "own") == "busy"
    ended = await ann.post(f"/fhir/{mine}/$cancel")
    assert read(ended)["status"] == "cancelled"
    assert await state(desk, "own") == "free"


async def test_what_a_patient_books_is_recorded_as_theirs(clinic: InProcess, desk: Caller) -> None:
    reference, name = await slot(desk, "traced", 9), await someone(desk)
    ann = themselves(clinic, name)

    async with clinic.trail.recording() as recorded:
        made = await ann.post("/fhir/Appointment/$book", parameters(appointment_reference=reference))

    assert made.status_code == 200, made.text
    written = [event for event in recorded.events if event["action"] in {"C", "U", "E"}]
    assert written
    for event in written:
        assert any(agent.get("who", {}).get("reference") == f"Patient/{name}" for agent in event["agent"])


async def test_a_relative_books_for_the_patient_and_nobody_else(clinic: InProcess, desk: Caller) -> None:
    reference, name, other = await slot(desk, "relative", 9), await someone(desk), await someone(desk)
    related = await desk.store({"resourceType": "RelatedPerson", "patient": {"reference": f"Patient/{name}"}})
    mother = clinic.caller(*OWN, role="related-person", fhir_user=f"RelatedPerson/{related['id']}", patient=name)

    assert (await booked(mother, reference, f"Patient/{other}")).status_code == 403
    made = await mother.post("/fhir/Appointment/$book", parameters(appointment_reference=reference))

    assert made.status_code == 200, made.text
    assert f"Patient/{name}" in made.text


async def test_nobody_books_or_cancels_for_another_patient(clinic: InProcess, desk: Caller) -> None:
    free, theirs = await slot(desk, "not-theirs", 9), await slot(desk, "theirs", 10)
    name, other = await someone(desk), await someone(desk)
    taken = read(await booked(desk, theirs, f"Patient/{other}"))
    ann = themselves(clinic, name)

    assert (await booked(ann, free, f"Patient/{other}")).status_code == 403
    whole = {**taken, "id": "whatever", "status": "pending", "slot": [{"reference": "Slot/not-theirs"}]}
    assert (await ann.post("/fhir/Appointment/$book", parameters(appointment_resource=whole))).status_code == 403
    assert (await ann.post(f"/fhir/Appointment/{taken['id']}/$cancel")).status_code == 404
    cancelled = parameters(appointment_resource={**taken, "status": "cancelled"})
    assert (await ann.post("/fhir/Appointment/$book", cancelled)).status_code in {403, 404}
    assert (await booked(ann, f"Appointment/{taken['id']}", f"Patient/{name}")).status_code == 404

    assert (await state(desk, "not-theirs"), await state(desk, "theirs")) == ("free", "busy")
    held = read(await desk.post("/fhir/Appointment/$hold", parameters(appointment_reference=free)))
    assert (await booked(ann, f"Appointment/{held['id']}", f"Patient/{name}")).status_code == 404
    assert (await booked(ann, free, f"Patient/{name}")).status_code == 409


async def test_booking_lets_a_patient_write_nothing_else(clinic: InProcess, desk: Caller) -> None:
    """Neither a Slot of their own making, nor an Appointment that is booked without its time being taken."""
    await slot(desk, "untouched", 9)
    name = await someone(desk)
    ann = themselves(clinic, name, "patient/*.cruds", "user/*.cruds")
    own = {"participant": [{"actor": {"reference": f"Patient/{name}"}, "status": "accepted"}]}
    appointment: Json = {"resourceType": "Appointment", "status": "booked", **own}
    appointment |= {"start": "2031-05-06T09:00:00Z", "end": "2031-05-06T09:30:00Z"}

    stored = read(await desk.get("/fhir/Slot/untouched"))
    assert (await ann.put("/fhir/Slot/untouched", {**stored, "status": "busy"})).status_code == 403
    assert (await ann.post("/fhir/Appointment", appointment)).status_code == 403
    proposed = await ann.post("/fhir/Appointment", {**appointment, "status": "proposed"})
    assert proposed.status_code == 201, proposed.text
    mine = f"Appointment/{read(proposed)['id']}"
    assert (await ann.post("/fhir/Appointment/$book", parameters(appointment_reference=mine))).status_code == 400
    assert (await ann.put(f"/fhir/{mine}", {**read(proposed), "status": "booked"})).status_code == 403


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        (("patient/Appointment.cr", "patient/Slot.r", "patient/Schedule.r"), 200),
        (("patient/Appointment.rus", "patient/Slot.rs", "patient/Schedule.rs"), 403),
        (("patient/Appointment.crus", "patient/Schedule.rs"), 403),
        (("user/Appointment.crus", "user/Slot.rs", "user/Schedule.rs"), 200),
    ],
)
async def test_the_scopes_of_an_app_say_whether_it_books(
    clinic: InProcess, desk: Caller, scopes: tuple[str, ...], status: int
) -> None:
    name = await someone(desk)
    reference = await slot(desk, f"scoped-{name}", 9)

    answer = await booked(themselves(clinic, name, *scopes), reference, f"Patient/{name}")

    assert answer.status_code == status, answer.text


async def test_what_names_its_time_otherwise_than_by_a_slot_is_cancelled_all_the_same(
    clinic: InProcess, desk: Caller
) -> None:
    name = await someone(desk)
    coming = [{"actor": {"reference": f"Patient/{name}"}, "status": "accepted"}]
    slots = [{"identifier": {"value": "9 o'clock"}}, {"reference": "https://elsewhere.example/Slot/1"}]
    made = await desk.store({"resourceType": "Appointment", "status": "proposed", "slot": slots, "participant": coming})

    answer = await themselves(clinic, name).post(f"/fhir/Appointment/{made['id']}/$cancel")

    assert read(answer)["status"] == "cancelled"


async def test_nobody_empties_the_calendar(clinic: InProcess, desk: Caller) -> None:
    name = await someone(desk)
    ann = themselves(clinic, name)
    references = [await slot(desk, f"greedy-{number}", number) for number in range(MOST_AHEAD + 1)]

    statuses = [(await booked(ann, reference, f"Patient/{name}")).status_code for reference in references]

    assert statuses == [200] * MOST_AHEAD + [409]
    held = await ann.post("/fhir/Appointment/$hold", parameters(appointment_reference=references[-1]))
    assert held.status_code == 409
    other = themselves(clinic, await someone(desk))
    assert (await booked(other, references[-1], f"Patient/{name}")).status_code == 403, "which tells of no others"
    assert (await booked(desk, references[-1], f"Patient/{name}")).status_code == 200, "the clinic may"
