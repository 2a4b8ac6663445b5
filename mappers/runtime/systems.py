"""Each system as the runtime sees it: who reads its messages, who proves them, what of them is kept, where it is asked.

The one table that a new system is entered in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from mappers.booking.calcom import bookings as calcom
from mappers.booking.calcom import signature as calcom_signature
from mappers.booking.calendly import invitees as calendly
from mappers.booking.calendly import signature as calendly_signature
from mappers.booking.cliniko import appointments as cliniko
from mappers.booking.icalendar import events as icalendar
from mappers.booking.nextmotion import appointments as nextmotion
from mappers.booking.pabau import appointments as pabau
from mappers.dicom import reading as dicom
from mappers.hl7v2 import messages as hl7v2
from mappers.hl7v2.documents import without_photos
from mappers.hl7v2.parsing import parsed
from mappers.mapping.faults import UnusableError
from mappers.mapping.signatures import refuse_without_word
from mappers.runtime.delivery import Keep, Read

Verify = Callable[[Mapping[str, str], bytes, str, datetime], None]
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class System:
    """`hosts`: of its API. `signs`: False where a webhook proves only that somebody knows a word."""

    read: Read
    verify: Verify | None = None
    type: str = _JSON
    keep: Keep = bytes
    hosts: frozenset[str] = frozenset()
    signs: bool = True


def _without_photos(raw: bytes) -> bytes:
    """What cannot be read holds nothing that is known to be a photograph; all of it is kept sealed."""
    try:
        return without_photos(raw, parsed(raw))
    except UnusableError:
        return raw


SYSTEMS: Mapping[str, System] = {
    "calcom": System(calcom.read, calcom_signature.verify),
    "calendly": System(calendly.read, calendly_signature.verify),
    "cliniko": System(cliniko.read),
    "nextmotion": System(
        nextmotion.read,
        refuse_without_word,
        hosts=frozenset({"api.nextmotion.net"}),
        signs=False,
    ),
    "pabau": System(
        pabau.read,
        refuse_without_word,
        hosts=frozenset({"api.oauth.pabau.com"}),
        signs=False,
    ),
    "icalendar": System(icalendar.read, refuse_without_word, "text/calendar"),
    "dicom": System(dicom.read, type="application/dicom", keep=dicom.without_picture),
    "hl7v2": System(hl7v2.read, type="x-application/hl7-v2+er7", keep=_without_photos),
}
