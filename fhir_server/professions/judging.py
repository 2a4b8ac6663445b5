"""Whether what somebody did keeps the rules of the bodies that they stand under: a finding for each rule. Pure.

Rows T5 to T7, T28. A document judges nothing that was done before it held. Nothing is refused: a record stays true.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fhir_server.consent.signers import birthday
from fhir_server.kernel.json import Json
from fhir_server.professions.body import AGE, ALWAYS, CONSENT, EXAMINED, NOTE, REGISTERED, Body, Rule
from fhir_server.professions.membership import Membership


@dataclass(frozen=True, slots=True)
class Person:
    """`reference` of a Practitioner, and under which bodies they stand."""

    reference: str
    memberships: tuple[Membership, ...]


@dataclass(frozen=True, slots=True)
class Agreed:
    """A consent that stood when the treatment began. `collector`: who took it down; empty where that is not known."""

    reference: str
    purposes: tuple[str, ...]
    collector: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A note of the treatment."""

    reference: str
    author: str
    time: str


@dataclass(frozen=True, slots=True)
class Treated:
    """A treatment as its rules look at it. `injectable`: was anything injected?"""

    begun: datetime
    injectable: bool
    consents: Sequence[Agreed]
    notes: Sequence[Noted]
    patient: Json


@dataclass(frozen=True, slots=True)
class Prescribed:
    """`at`: when, if that is said. `met`: what shows that the prescriber had met the patient in person before."""

    reference: str
    at: datetime | None
    met: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """`who`: of whom it is said. `missing`: what lacks, empty where nothing does. `evidence`: what keeps the rule."""

    who: str
    body: Body
    rule: Rule
    missing: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def severity(self) -> str:
        return self.rule.broken if self.missing else "information"


def of_treatment(person: Person, treated: Treated) -> Iterator[Finding]:
    """By every rule that speaks of whoever treats."""
    for membership, rule in _rules(person, treated.begun):
        said = Finding(person.reference, membership.body, rule)
        if rule.kind == REGISTERED:
            yield _registered(said, membership, treated.begun)
        elif rule.kind == CONSENT:
            yield _consent(said, treated)
        elif rule.kind == NOTE:
            yield _note(said, treated)
        elif rule.kind == AGE and treated.injectable:
            yield _age(said, treated)
        elif rule.kind == ALWAYS:
            yield said


def of_prescription(person: Person, prescribed: Prescribed) -> Iterator[Finding]:
    """By every rule that speaks of whoever prescribes. What has no date is judged by what holds today."""
    for membership, rule in _rules(person, prescribed.at):
        said = Finding(person.reference, membership.body, rule)
        if rule.kind == EXAMINED:
            lacks = f"No meeting in person before {prescribed.reference} is on record, as an Encounter of both."
            yield replace(said, missing="" if prescribed.met else lacks, evidence=prescribed.met)
        elif rule.kind == REGISTERED and prescribed.at is not None:
            yield _registered(said, membership, prescribed.at)


def _rules(person: Person, at: datetime | None) -> Iterator[tuple[Membership, Rule]]:
    for membership in person.memberships:
        for rule in membership.body.rules:
            if at is None or rule.source.since <= at.date():
                yield membership, rule


def _registered(said: Finding, membership: Membership, at: datetime) -> Finding:
    lacks = membership.lacks(at)
    return replace(said, missing=lacks, evidence=() if lacks else (said.who,))


def _consent(said: Finding, treated: Treated) -> Finding:
    found = [one for one in treated.consents if said.rule.purpose in one.purposes]
    if not found:
        return replace(said, missing=f"No consent to {said.rule.purpose} stood when the treatment began.")
    if said.rule.collected_by == "performer":
        found = [one for one in found if one.collector == said.who]
        if not found:
            return replace(said, missing="No consent that stood then says that it was taken down by who treated.")
    return replace(said, evidence=tuple(one.reference for one in found))


def _note(said: Finding, treated: Treated) -> Finding:
    found = tuple(dict.fromkeys(one.reference for one in treated.notes if one.author and one.time))
    return replace(said, missing="" if found else "No note says who made it and when.", evidence=found)


def _age(said: Finding, treated: Treated) -> Finding:
    """The number of years stands in the jurisdiction's pack alone."""
    ban = said.rule.ban
    grown = birthday(treated.patient, ban.below_age) if ban else None
    if ban is None or grown is None:
        return replace(said, missing="The patient's date of birth is not on record.")
    young = treated.begun.astimezone(UTC).date() < grown
    return replace(said, missing=f"{ban.text} ({ban.source}.)" if young else "")
