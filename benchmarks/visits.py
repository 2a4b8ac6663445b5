"""Messages about invented visits, as booking tools and EHRs send them: booked, moved, cancelled.

Every third visit is of somebody who was not here before; the others are of people who were here some visits ago, so
that those who come at the same time are different people.
"""

from fhir_server.kernel import json

_VISITS_OF_ONE = 3
_PEOPLE_BETWEEN = 20
_GIVEN = ("Ngozi", "Anaïs", "Zoé", "Maud", "Ines", "Lina", "Jeanne", "Rose", "Alma", "Thea", "Nour", "Vera", "Iris")
_YEARS, _MONTHS, _DAYS = 60, 12, 28
_SIU = (("S12", "Booked", 10), ("S13", "Booked", 11), ("S15", "Cancelled", 11))
_CALCOM = (("BOOKING_CREATED", 10), ("BOOKING_RESCHEDULED", 11), ("BOOKING_CANCELLED", 11))


def hl7(number: int, step: int) -> bytes:
    """HL7 v2.5.1 chapter 10."""
    (trigger, status, hour), person = _SIU[step], _person(number)
    lines = (
        (
            f"MSH|^~\\&|EHR|HAUTE|FHIR|CLINIC|2026030109010{step}+0100||SIU^{trigger}|M{number}-{step}|P|2.5.1"
            "||||||UNICODE UTF-8"
        ),
        (
            f"SCH|P-{number}^PLACER|F-{number}^FILLER|||||^Checkup|^Routine|30|min|"
            f"^^^20260316{hour}0000+0100^20260316{hour}3000+0100||||||||||||||{status}"
        ),
        "NTE|1||First line\\.br\\second \\T\\ third",
        (
            f"PID|1||{person}^^^CLINIC^MR||Okafor{person}^{_GIVEN[person % len(_GIVEN)]}^A^^Dr^^L||{_born(person)}|F|||"
            f"5 Rue Haute^^Lille^^59000^FR^H||+333{person % 10**8:08}^PRN^PH"
        ),
        "RGS|1",
        "AIS|1|A|HYA^Hyaluronic acid",
        "AIP|1|A|77^Moreau^Anais",
        "AIL|1|A|R2^Room 2",
    )
    return ("\r".join(lines) + "\r").encode()


def _person(number: int) -> int:
    """The first visits of all are of people who are new."""
    newest, place = divmod(number, _VISITS_OF_ONE)
    before = newest - place * _PEOPLE_BETWEEN
    return before if before >= 0 else -number


def _born(person: int) -> str:
    """People are spread over years and days."""
    return f"{1945 + person % _YEARS}{1 + person % _MONTHS:02}{1 + person % _DAYS:02}"


def webhook(number: int, step: int) -> bytes:
    """Cal.com; a booking that is moved has a new uid, and names the old one."""
    event, hour = _CALCOM[step]
    uid = f"visit-{number}-{min(step, 1)}"
    moved = {"rescheduleUid": f"visit-{number}-0"} if step == 1 else {}
    payload = {
        "uid": uid,
        "iCalUID": f"visit-{number}@cal.example",
        "title": "Consultation",
        "eventTypeId": 12,
        "startTime": f"2026-03-16T{hour}:00:00Z",
        "endTime": f"2026-03-16T{hour}:30:00Z",
        "status": "CANCELLED" if event.endswith("CANCELLED") else "ACCEPTED",
        "organizer": {"name": "Dr Moreau", "email": "anais@clinic.example", "timeZone": "Europe/Paris"},
        "attendees": [{"name": f"Ngozi Okafor{number}", "email": f"{number}@example.org", "timeZone": "Europe/Paris"}],
        "length": 30,
        **moved,
    }
    return json.encode({"triggerEvent": event, "createdAt": f"2026-03-01T10:00:0{step}.000Z", "payload": payload})
