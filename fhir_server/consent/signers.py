"""Who may sign: the patient, or somebody who represents them and shows by what.

GDPR Art. 8; requirements of the jurisdiction's pack: age of majority, bans; marketing of minors is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from fhir_server.consent.answers import Decision
from fhir_server.consent.law import Pack
from fhir_server.consent.match import Match
from fhir_server.consent.period import covers, span
from fhir_server.consent.purposes import MARKETING
from fhir_server.consent.signature import Sitting
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json

_LEAP_DAY = (2, 29)


@dataclass(frozen=True, slots=True)
class Who:
    """The resources as they are stored; None for one that is not there."""

    patient: Json
    representative: Json | None = None
    authority: Json | None = None


def birthday(patient: Json, years: int) -> date | None:
    """When somebody turns so old; where only a month or a year is known, the last day that it may be."""
    born = span(patient.get("birthDate"), UTC)
    if born is None:
        return None
    last = (born[1] - timedelta(days=1)).date()
    if (last.month, last.day) == _LEAP_DAY:
        return date(last.year + years, 3, 1)
    return last.replace(year=last.year + years)


def is_minor(patient: Json, pack: Pack, now: datetime) -> bool:
    """Known to be one: without a date of birth nobody is."""
    grown = birthday(patient, pack.majority)
    return grown is not None and now.date() < grown


def require_signer(sitting: Sitting, who: Who, asked: Sequence[Decision], pack: Pack, now: datetime) -> None:
    """422 where this person cannot give, for this patient, what was asked."""
    minor = is_minor(who.patient, pack, now)
    if sitting.signer.type == "Patient":
        if sitting.signer.id != sitting.patient:
            _refuse("Another patient cannot sign.")
        if minor:
            _refuse(f"Below {pack.majority} a representative signs.")
    else:
        _require_representative(sitting, who, now)
    if minor and any(one.granted and one.question.purpose in MARKETING for one in asked):
        _refuse("Marketing with photographs of a minor is refused.")
    _require_allowed(sitting, who.patient, pack, now)


def _require_representative(sitting: Sitting, who: Who, now: datetime) -> None:
    person, paper = who.representative, who.authority
    if sitting.signer.type != "RelatedPerson" or person is None or not _is_of(person, "patient", sitting.patient):
        _refuse("The signer is neither the patient nor a RelatedPerson of the patient.")
    elif person.get("active") is False or covers(person.get("period"), now) is not Match.YES:
        _refuse("This RelatedPerson does not represent the patient now.")
    elif paper is None or not _is_of(paper, "subject", sitting.patient):
        _refuse("A representative shows by what they act: a DocumentReference of the patient.")
    elif paper.get("status") != "current" or not paper.get("date"):
        _refuse("The document of authority is current and dated.")


def _require_allowed(sitting: Sitting, patient: Json, pack: Pack, now: datetime) -> None:
    for ban in pack.bans:
        grown = birthday(patient, ban.below_age)
        if ban.code == sitting.treatment and grown is not None and now.astimezone(UTC).date() < grown:
            _refuse(f"{ban.text} ({ban.source}.)")


def _is_of(resource: Json, element: str, patient: str) -> bool:
    named = resource.get(element)
    return isinstance(named, dict) and named.get("reference") == f"Patient/{patient}"


def _refuse(text: str) -> None:
    raise UnprocessableError(text, expression="Parameters.parameter")
