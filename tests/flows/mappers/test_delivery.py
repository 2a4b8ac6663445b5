"""A message through the runtime into the real server: again, late, at once, too early, refused, corrected by a person.

Nothing was received from a vendor: the messages are the golden fixtures.
"""

import asyncio
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from httpx2 import AsyncBaseTransport, AsyncClient, Request, Response

from fhir_server.kernel import json
from mappers.hl7v2.documents import without_photos
from mappers.hl7v2.parsing import parsed
from mappers.mapping.message import Message, Tables
from mappers.mapping.result import Mapping
from mappers.runtime.delivery import Outcome, received
from mappers.runtime.faults import NotNowError
from mappers.runtime.server import Server
from tests.clinics import InProcess
from tests.flows.mappers.conftest import RECEIVED, Deliveries
from tests.mappers.golden import named

pytestmark = pytest.mark.anyio

UIDS = (b"bFJeNb2uX8ANpT3JL5EfXw", b"kQ2rescheduled0000000a")


def own(name: str, mark: str) -> Message:
    """A Cal.com fixture about a booking of this test's own."""
    raw = named(f"calcom/{name}").message.raw
    for place, uid in enumerate(UIDS):
        raw = raw.replace(uid, f"{mark}-{place}".encode())
    return Message(raw, RECEIVED)


async def appointments(clinic: InProcess, system: str, value: str) -> list[Any]:
    answer = await clinic.caller().get(f"/fhir/Appointment?identifier={system}|{value}")
    found = json.decode(answer.content)
    return [entry["resource"] for entry in found.get("entry", ())]


CALCOM = "booking.calcom.bookings"
STORY = ("booking-created", "booking-rescheduled", "booking-no-show")


async def told(clinic: InProcess, mark: str) -> Any:
    """All that came of a story, without what differs from run to run."""
    found = {str(one["id"]): one for place in (0, 1) for one in await calcom(clinic, f"{mark}-{place}")}
    assert len(found) == 1
    [visit] = found.values()
    kept = {name: visit[name] for name in ("status", "start", "end", "description")}
    identifiers = {one["value"].replace(mark, "") for one in visit["identifier"]}
    return kept, identifiers, len(visit["participant"])


async def calcom(clinic: InProcess, uid: str) -> list[Any]:
    return await appointments(clinic, "https://cal.com/booking-uid", uid)


@pytest.mark.parametrize("order", list(permutations(STORY)), ids=" ".join)
async def test_the_order_of_arrival_does_not_matter(
    clinic: InProcess, deliveries: Deliveries, order: tuple[str, ...]
) -> None:
    mark, usual = f"order-{STORY.index(order[0])}{STORY.index(order[1])}", "usual-order"
    delivery = deliveries(CALCOM)

    for name in order:
        await delivery.deliver(own(name, mark))
    for name in STORY:
        await delivery.deliver(own(name, usual))

    assert await told(clinic, mark) == await told(clinic, usual)
    assert (await told(clinic, mark))[0]["status"] == "noshow"


async def test_the_same_messages_ten_times_at_once_are_one_appointment(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    deliveries_of_two = deliveries(CALCOM), deliveries(CALCOM)
    messages = [own(name, "burst") for name in STORY[:2] for _ in range(5)]

    outcomes = await asyncio.gather(
        *(deliveries_of_two[place % 2].deliver(message) for place, message in enumerate(messages))
    )

    assert outcomes.count(Outcome.DUPLICATE) == 8
    assert (await told(clinic, "burst"))[0]["start"] == "2026-03-17T13:00:00Z"


async def test_what_comes_too_early_waits_and_is_taken_with_what_it_waited_for(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    delivery = deliveries(CALCOM)

    early = await delivery.deliver(own("booking-no-show", "early"))
    await delivery.deliver(own("booking-rescheduled", "early"))

    assert early is Outcome.WAITING
    [visit] = await calcom(clinic, "early-1")
    assert visit["status"] == "noshow"
    tasks = await search(clinic, f"Task?identifier={delivery.source.name}&status=on-hold")
    assert not tasks


async def test_what_a_person_corrected_and_added_stays(clinic: InProcess, deliveries: Deliveries) -> None:
    """The patient whom a nurse pointed to, and the assistant whom she added."""
    delivery, caller = deliveries(CALCOM), clinic.caller()
    await delivery.deliver(own("booking-created", "nurse"))
    [visit] = await calcom(clinic, "nurse-0")
    known = await caller.store({"resourceType": "Patient", "active": True})
    visit["participant"][0]["actor"]["reference"] = f"Patient/{known['id']}"
    visit["participant"].append({"actor": {"reference": "Practitioner/assistant"}, "status": "accepted"})
    visit["patientInstruction"] = "No make-up, please."
    await caller.put(f"/fhir/Appointment/{visit['id']}", visit)

    await delivery.deliver(own("booking-rescheduled", "nurse"))

    [moved] = await calcom(clinic, "nurse-1")
    actors = [one["actor"].get("reference") for one in moved["participant"]]
    assert moved["start"] == "2026-03-17T13:00:00Z"
    assert f"Patient/{known['id']}" in actors
    assert "Practitioner/assistant" in actors
    assert moved["patientInstruction"] == "No make-up, please."


async def test_the_message_its_losses_and_its_origin_lie_beside_what_came_of_it(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    message = own("booking-created", "origin")
    delivery = deliveries(CALCOM)

    await delivery.deliver(message)

    [raw] = await search(clinic, f"DocumentReference?identifier={delivery.source.name}")
    assert received(raw).raw == message.raw
    assert raw["masterIdentifier"]["value"] == message.sha256
    assert raw["contained"][0]["resourceType"] == "OperationOutcome"
    assert raw["subject"]["reference"].startswith("Patient/")
    [visit] = await calcom(clinic, "origin-0")
    [origin] = await search(clinic, f"Provenance?target=Appointment/{visit['id']}")
    assert message.sha256 in str(origin["entity"])


def named_so(mark: str, *, email: str) -> Message:
    """A booking of somebody whose name no other test has."""
    raw = own("booking-created", mark).raw
    assert "Léa Martin".encode() in raw
    return Message(
        raw.replace("Léa Martin".encode(), f"Ada {mark}".encode()).replace(b"lea.martin@example.org", email.encode()),
        RECEIVED,
    )


async def test_t42_a_doubtful_patient_is_a_question_for_a_person_with_those_who_come_into_question(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    email = [{"system": "email", "value": "doubt@example.org"}]
    there = await clinic.caller().store(
        {"resourceType": "Patient", "name": [{"family": "Doubt", "given": ["Ada"]}], "telecom": email}
    )

    await deliveries(CALCOM).deliver(named_so("Doubt", email="doubt@example.org"))

    [patient] = await search(clinic, "Patient?identifier=https://cal.com/booking-attendee|Doubt-0")
    [task] = await search(clinic, f"Task?patient=Patient/{patient['id']}")
    [candidate] = task["input"]
    assert candidate["valueReference"] == {"reference": f"Patient/{there['id']}"}
    assert candidate["type"]["coding"][0]["code"] == "possible"
    assert task["code"]["coding"][0]["code"] == "match-patient"
    assert "doubt@example.org" not in json.encode(task).decode()
    assert patient["id"] != there["id"]


@pytest.mark.parametrize(("born", "asked"), [("19870214", 0), ("", 1)], ids=["birth date", "none"])
async def test_t42_of_who_has_a_birth_date_and_is_like_nobody_nothing_is_asked(
    clinic: InProcess, deliveries: Deliveries, born: str, asked: int
) -> None:
    raw = named("hl7v2/adt-a28").message.raw
    for before, after in (("4471^", f"alone{born}^"), ("Okafor^Ngozi", "Solitary^Una"), ("19870214", born)):
        assert before.encode() in raw
        raw = raw.replace(before.encode(), after.encode())

    await deliveries("hl7v2.messages").deliver(Message(raw, RECEIVED))

    [patient] = await search(clinic, f"Patient?identifier=alone{born}")
    assert len(await search(clinic, f"Task?patient=Patient/{patient['id']}")) == asked


async def test_a_poison_message_is_put_aside_and_does_not_stop_the_next(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    delivery = deliveries(CALCOM)

    outcomes = [
        await delivery.deliver(message)
        for message in (Message(b"{", RECEIVED), own("booking-created", "poison"), Message(b"{", RECEIVED))
    ]

    assert outcomes == [Outcome.DEAD, Outcome.WRITTEN, Outcome.DUPLICATE]
    [task] = await search(clinic, f"Task?identifier={delivery.source.name}&status=failed")
    assert task["statusReason"]["text"] == "The message is not JSON."


async def test_those_who_share_a_request_with_a_poison_message_are_taken_and_it_alone_is_put_aside(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    """All at once: six visits, each twice; and one whose resources the server does not take."""
    delivery = deliveries(CALCOM)

    def read(message: Message, tables: Tables) -> Mapping:
        found = delivery.source.read(message, tables)
        if b"poison" in message.raw:
            for entry in found.bundle["entry"]:
                entry["resource"]["status"] = "of no code system"
        return found

    spoilt = replace(delivery, source=replace(delivery.source, read=read))
    messages = [own("booking-created", f"{'poison' if place == 3 else 'shared'}-{place}") for place in range(7)]

    outcomes = await asyncio.gather(*(spoilt.deliver(one) for one in (*messages, *messages)))

    first, again = outcomes[:7], outcomes[7:]
    assert first == [Outcome.DEAD if place == 3 else Outcome.WRITTEN for place in range(7)]
    assert again == [Outcome.DUPLICATE] * 7
    assert [len(await calcom(clinic, f"shared-{place}-0")) for place in (0, 1, 2, 4, 5, 6)] == [1] * 6
    assert not await calcom(clinic, "poison-3-0")
    assert len(await search(clinic, f"Task?identifier={delivery.source.name}&status=failed")) == 1
    assert len(await search(clinic, f"DocumentReference?identifier={delivery.source.name}")) == 7


async def test_a_move_that_comes_before_its_booking_finds_the_patient_who_is_here(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    """A message that continues something asks who is in it only where the visit does not say so."""
    delivery = deliveries("hl7v2.messages")
    booked = named("hl7v2/siu-s12").message.raw.replace(b"4471^", b"comes-first^").replace(b"-100", b"-comes-first")
    moved = booked.replace(b"SIU^S12", b"SIU^S13").replace(b"-comes-first", b"-moved-first")

    outcomes = [await delivery.deliver(Message(raw, RECEIVED)) for raw in (booked, moved.replace(b"|MSG", b"|NEXT"))]

    assert outcomes == [Outcome.WRITTEN] * 2
    [patient] = await search(clinic, "Patient?identifier=comes-first")
    assert len(await search(clinic, f"Appointment?patient=Patient/{patient['id']}")) == 2


async def test_a_mapper_that_fails_does_not_stop_the_next(clinic: InProcess, deliveries: Deliveries) -> None:
    def failing(message: Message, tables: Tables) -> Mapping:
        raise KeyError("Léa Martin")

    delivery = deliveries(CALCOM)

    outcome = await replace(delivery, source=replace(delivery.source, read=failing)).deliver(Message(b"{}", RECEIVED))

    assert outcome is Outcome.DEAD
    [task] = await search(clinic, f"Task?identifier={delivery.source.name}&status=failed")
    assert task["statusReason"]["text"] == "The mapper fails on it (KeyError)."


async def test_a_photograph_without_consent_is_refused_and_lies_nowhere(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    delivery = deliveries("hl7v2.messages")
    source = replace(delivery.source, keep=lambda raw: without_photos(raw, parsed(raw)))
    message = named("hl7v2/oru-r01-photo").message

    outcome = await replace(delivery, source=source).deliver(message)

    assert outcome is Outcome.REFUSED
    assert not await search(clinic, f"DocumentReference?identifier={delivery.source.name}")
    assert not await search(clinic, f"Task?identifier={delivery.source.name}")


async def test_nothing_is_half_written_while_the_server_cannot_be_asked(
    clinic: InProcess, deliveries: Deliveries, server: Server
) -> None:
    class Refusing(AsyncBaseTransport):
        async def handle_async_request(self, request: Request) -> Response:
            return Response(503)

    delivery = deliveries(CALCOM)
    async with AsyncClient(transport=Refusing()) as http:
        broken = replace(delivery, server=replace(server, http=http))
        with pytest.raises(NotNowError):
            await broken.deliver(own("booking-created", "down"))

    assert await delivery.deliver(own("booking-created", "down")) is Outcome.WRITTEN


async def test_what_the_clinic_deleted_is_not_made_again(clinic: InProcess, deliveries: Deliveries) -> None:
    delivery = deliveries(CALCOM)
    await delivery.deliver(own("booking-created", "gone"))
    [visit] = await calcom(clinic, "gone-0")
    await clinic.caller().delete(f"/fhir/Appointment/{visit['id']}")

    late = own("booking-created", "gone").raw.replace(b"2026-03-01T10:00", b"2026-03-01T12:00")
    outcome = await delivery.deliver(Message(late, RECEIVED))

    assert outcome is Outcome.DEAD
    assert not await calcom(clinic, "gone-0")


async def test_a_block_may_bear_the_number_of_a_visit(clinic: InProcess, deliveries: Deliveries) -> None:
    delivery = deliveries("hl7v2.messages")
    raws = (named(f"hl7v2/{name}").message.raw.replace(b"-100", b"-both") for name in ("siu-s12", "siu-s23"))

    outcomes = [await delivery.deliver(Message(raw, RECEIVED)) for raw in raws]

    assert outcomes == [Outcome.WRITTEN, Outcome.WRITTEN]


async def test_records_are_merged_and_the_one_that_is_left_keeps_its_visits(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    delivery = deliveries("hl7v2.messages")

    def message(name: str, mrn: bytes, id: bytes) -> Message:
        raw = named(f"hl7v2/{name}").message.raw.replace(b"4470^", b"mrn-old^").replace(b"4471^", mrn + b"^")
        return Message(raw.replace(b"|MSG", b"|" + id), RECEIVED)

    outcomes = [
        await delivery.deliver(message("adt-a40", b"mrn-new", b"1")),
        await delivery.deliver(message("adt-a28", b"mrn-old", b"2")),
    ]

    [old], [new] = [await search(clinic, f"Patient?identifier=mrn-{which}") for which in ("old", "new")]
    assert outcomes == [Outcome.WAITING, Outcome.WRITTEN]
    assert old["active"] is False
    assert old["link"][0] == {"other": {"reference": f"Patient/{new['id']}"}, "type": "replaced-by"}
    assert not await search(clinic, f"Task?identifier={delivery.source.name}&status=on-hold")


@pytest.mark.parametrize("names", [("adt-a40", "adt-a37"), ("adt-a37", "adt-a40")], ids=" ".join)
async def test_t42_a_merge_is_taken_back_in_whatever_order_the_two_messages_come(
    clinic: InProcess, deliveries: Deliveries, names: tuple[str, str]
) -> None:
    delivery, mark = deliveries("hl7v2.messages"), names[0]

    def message(name: str, number: bytes = b"4471") -> Message:
        raw = named(f"hl7v2/{name}").message.raw.replace(b"4471^", number + b"^")
        return Message(raw.replace(b"447", f"{mark}-447".encode()), RECEIVED)

    outcomes = [
        await delivery.deliver(one)
        for one in (message("adt-a28", b"4470"), message("adt-a31"), *(message(name) for name in names))
    ]

    assert outcomes[:3] == [Outcome.WRITTEN] * 3
    for number in (4470, 4471):
        [patient] = await search(clinic, f"Patient?identifier={mark}-{number}")
        assert patient.get("active", True) is True
        assert "link" not in patient


async def test_an_answer_by_calendar_reaches_the_visit(clinic: InProcess, deliveries: Deliveries) -> None:
    delivery = deliveries("booking.icalendar.events")

    for name in ("reply", "request"):
        raw = named(f"icalendar/{name}").message.raw.replace(b"visit-1@", b"answered@")
        await delivery.deliver(Message(raw, RECEIVED))

    [visit] = await appointments(clinic, "urn:ietf:rfc:5545:uid", "answered@example.org")
    assert visit["participant"][0]["status"] == "accepted"


async def test_a_cancelled_series_cancels_each_of_its_visits(clinic: InProcess, deliveries: Deliveries) -> None:
    delivery = deliveries("booking.icalendar.events")

    for name in ("weekly", "cancel-one-of-series", "cancel-series"):
        raw = named(f"icalendar/{name}").message.raw.replace(b"series-1@", b"all@")
        assert await delivery.deliver(Message(raw, RECEIVED)) is Outcome.WRITTEN

    found = await search(clinic, "Appointment?identifier=urn:aesthetic-fhir-server:mappers:ical-series|all@example.org")
    assert [visit["status"] for visit in found] == ["cancelled"] * 3


async def search(clinic: InProcess, query: str) -> list[Any]:
    answer = await clinic.caller().get(f"/fhir/{query}")
    return [entry["resource"] for entry in json.decode(answer.content).get("entry", ())]


async def test_what_comes_too_early_at_the_same_instant_is_taken_all_the_same(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    """Two processes, which do not see each other's turns: who waits is found, whoever of them is first."""
    for place in range(4):
        mark = f"instant-{place}"
        names = ("booking-no-show", "booking-rescheduled")[:: 1 if place % 2 else -1]
        await asyncio.gather(*(deliveries(CALCOM).deliver(own(name, mark)) for name in names))

        [visit] = await calcom(clinic, f"{mark}-1")
        assert visit["status"] == "noshow"
    assert not await search(clinic, f"Task?identifier={deliveries(CALCOM).source.name}&status=on-hold")


async def test_what_is_about_a_visit_that_the_clinic_deleted_does_not_wait(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    delivery = deliveries(CALCOM)
    await delivery.deliver(own("booking-created", "bin"))
    [visit] = await calcom(clinic, "bin-0")
    await clinic.caller().delete(f"/fhir/Appointment/{visit['id']}")

    late = own("booking-no-show", "bin").raw.replace(b"bin-1", b"bin-0")

    assert await delivery.deliver(Message(late, RECEIVED)) is Outcome.DEAD


async def test_messages_about_one_new_patient_at_once_make_one_patient(
    clinic: InProcess, deliveries: Deliveries
) -> None:
    raws = [
        named("hl7v2/siu-s12").message.raw.replace(b"-100", b"-one%d" % place).replace(b"4471^", b"one-new^")
        for place in range(6)
    ]
    both = deliveries("hl7v2.messages"), deliveries("hl7v2.messages")

    outcomes = await asyncio.gather(
        *(
            both[place % 2].deliver(Message(raw.replace(b"|MSG", b"|%d" % place), RECEIVED))
            for place, raw in enumerate(raws)
        )
    )

    assert set(outcomes) == {Outcome.WRITTEN}
    assert len(await search(clinic, "Patient?identifier=one-new")) == 1
