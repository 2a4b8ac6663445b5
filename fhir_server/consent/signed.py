"""When a consent was given or ended, to the precision that was written down.

https://hl7.org/fhir/R4/consent-definitions.html#Consent.dateTime
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from fhir_server.consent.period import span
from fhir_server.consent.terms import WITHDRAWN_AT, instants, withdrawn
from fhir_server.kernel.json import Json


@dataclass(frozen=True, slots=True)
class Signed:
    """The first instant that may be meant, and the first after it: a date is all of its day."""

    begin: datetime
    end: datetime

    def is_after(self, other: "Signed") -> bool:
        """Surely; within one day that is all that is known, neither is after the other."""
        return other.end <= self.begin


def signed(consent: Json, now: datetime, written: datetime | None = None) -> Signed:
    """When it was signed, or where it was withdrawn, when that was.

    One without a time counts from when it was `written` here; the zone is that of `now`.
    """
    zone = now.tzinfo or UTC
    stated = instants(consent, WITHDRAWN_AT) if withdrawn(consent) else []
    found = [one for text in (*stated, consent.get("dateTime")) if (one := span(text, zone)) is not None]
    if found:
        return Signed(*max(found))
    moment = written or now
    return Signed(moment, moment)
