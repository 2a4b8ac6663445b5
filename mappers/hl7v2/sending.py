"""An Appointment as SIU, for systems that are told by HL7 v2.

HL7 v2.5.1 chapter 10. Which trigger is the caller's word: it knows what happened to the appointment.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json

STATUS = {
    "booked": "Booked",
    "pending": "Pending",
    "waitlist": "Waitlist",
    "arrived": "Started",
    "checked-in": "Started",
    "fulfilled": "Complete",
    "cancelled": "Cancelled",
    "noshow": "Noshow",
    "entered-in-error": "Deleted",
}
_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\", "\r": " ", "\n": " "})


@dataclass(frozen=True, slots=True)
class Ends:
    """Who sends and who is sent to: application and facility of each (MSH-3 to MSH-6)."""

    sender: tuple[str, str]
    receiver: tuple[str, str]


def siu(
    appointment: Json, patient: Json, trigger: str, ends: Ends, now: datetime, id: str, number: str | None = None
) -> bytes:
    """`number`: by which the receiver knows it, if not by its first identifier."""
    if appointment["status"] not in STATUS:
        raise UnusableError("The status has no equivalent in HL7 v2.")
    names = "|".join(_plain(part) for part in (*ends.sender, *ends.receiver))
    lines = [
        f"MSH|^~\\&|{names}|{_time(now)}||SIU^{trigger}^SIU_S12|{_plain(id)}|P|2.5.1||||||UNICODE UTF-8",
    ]
    sch, *rest = segments(appointment, number, trigger)
    lines += [sch, _pid(patient), *rest]
    return ("\r".join(lines) + "\r").encode()


def segments(appointment: Json, number: str | None, trigger: str) -> list[str]:
    """What is said of the appointment itself."""
    return [_sch(appointment, number, trigger), "RGS|1", *_resources(appointment)]


def _sch(appointment: Json, number: str | None, trigger: str) -> str:
    known = [number] if number else [one["value"] for one in appointment.get("identifier", ())] or [appointment["id"]]
    reason = appointment.get("reasonCode", [{}])[0].get("text", "")
    kind = appointment.get("appointmentType", {}).get("text", "")
    fields = {
        2: _plain(known[0]),
        6: trigger,
        7: f"^{_plain(reason)}" if reason else "",
        8: f"^{_plain(kind)}" if kind else "",
        11: f"^^^{_instant(appointment.get('start'))}^{_instant(appointment.get('end'))}",
        25: STATUS[appointment["status"]],
    }
    return "|".join(["SCH", *(fields.get(number, "") for number in range(1, 26))])


def _pid(patient: Json) -> str:
    numbers = "~".join(
        f"{_plain(one['value'])}^^^&{_plain(one['system'].removeprefix('urn:oid:'))}"
        f"&{'ISO' if one['system'].startswith('urn:oid:') else 'URI'}"
        for one in patient.get("identifier", ())
        if one.get("system") and one.get("value") and one.get("use") != "secondary"
    )
    name = patient.get("name", [{}])[0]
    given = name.get("given", [""])[0]
    said = f"{_plain(name.get('family', name.get('text', '')))}^{_plain(given)}"
    return f"PID|1||{numbers}||{said}||{patient.get('birthDate', '').replace('-', '')}"


def _resources(appointment: Json) -> list[str]:
    found = []
    actors = [one["actor"] for one in appointment["participant"] if one.get("actor", {}).get("type")]
    for place, actor in enumerate(actors, 1):
        segment = {"Practitioner": "AIP", "Location": "AIL", "Device": "AIG"}.get(actor["type"])
        if segment:
            value = _plain(actor.get("identifier", {}).get("value", ""))
            found.append(f"{segment}|{place}|A|{value}^{_plain(actor.get('display', ''))}")
    return found


def _instant(text: str | None) -> str:
    return _time(datetime.fromisoformat(text)) if text else ""


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")


def _plain(text: str) -> str:
    return text.translate(_ESCAPES)
