"""Pure: may this be done with what concerns this patient, for this purpose, at this instant, and on what basis?

GDPR Art. 4(11), 6(1)(a), 7; IHE PCF 1.1; architecture section 9. Whatever cannot be read, is missing or contradicts the
head row ends in Deny.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fhir_server.consent.match import Match
from fhir_server.consent.period import covers
from fhir_server.consent.provision import (
    codings,
    names,
    of_actor,
    of_data,
    of_purpose,
    of_the_rest,
    purposes,
    several,
)
from fhir_server.engine.change import ConsentBasis
from fhir_server.engine.ports import Head
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

_SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
_MODIFIERS = frozenset({"modifierExtension", "implicitRules"})


class Reason(StrEnum):
    """Why not. In rising order of how near some consent came to permitting."""

    NO_CONSENT = "no-consent"
    OTHER_PURPOSE = "other-purpose"
    OUTSIDE_PERIOD = "outside-period"
    NOT_COVERED = "not-covered"
    NOT_UNDERSTOOD = "not-understood"
    NOT_SPECIFIC = "not-specific"
    REFUSED = "refused"
    NOT_CURRENT = "not-current"


_NEARNESS = {reason: place for place, reason in enumerate(Reason)}
_SENTENCES: Mapping[Reason, str] = {
    Reason.NO_CONSENT: "There is no consent on file.",
    Reason.OTHER_PURPOSE: "No consent in force is for this purpose.",
    Reason.OUTSIDE_PERIOD: "The consent for this purpose is not valid at this time.",
    Reason.NOT_COVERED: "The consent for this purpose does not cover this resource or this party.",
    Reason.NOT_UNDERSTOOD: "The consent for this purpose has a restriction that this server cannot evaluate.",
    Reason.NOT_SPECIFIC: "The consent does not name exactly one purpose.",
    Reason.REFUSED: "A consent in force refuses this purpose.",
    Reason.NOT_CURRENT: "A consent in force could not be had in its current version.",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """`purpose` is a name that purposes.canonical gives, `actor` the party that asks, `patient` an id.

    `instant` carries the clinic's time zone: a consent until `2026-03-31` ends with that day at the clinic.
    """

    patient: str
    purpose: str
    instant: datetime
    resource: ResourceKey | None = None
    actor: ResourceKey | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """The version of a Consent that permits, and the patient's epoch in which it was in force."""

    consent: ResourceKey
    version: int
    patient: str
    epoch: int

    @property
    def basis(self) -> ConsentBasis:
        return ConsentBasis(self.consent, self.version, self.patient, self.epoch)


@dataclass(frozen=True, slots=True)
class Deny:
    """`consent` and `version` name the Consent that refuses, where one does."""

    reason: Reason
    consent: ResourceKey | None = None
    version: int | None = None

    @property
    def text(self) -> str:
        """One plain sentence; nothing in it comes from a resource."""
        return _SENTENCES[self.reason]


def in_force(consent: Json) -> bool:
    """Does this version of a Consent belong into its patient's head row?"""
    return consent.get("resourceType") == "Consent" and consent.get("status") == "active"


def decide(ask: Ask, consents: Sequence[Json], head: Head) -> Permit | Deny:
    """Refusals win over permissions; the order in which consents come changes nothing.

    Every consent that the head lists must be there in exactly that version, or nothing is decided in favour. One that
    the head does not list does not exist.
    """
    found = {_key(consent): consent for consent in consents if _key(consent) in head.consents}
    current = all(_version(consent) == head.consents[_key(consent)] for consent in consents if _key(consent) in found)
    if head.patient != ask.patient or not current or len(found) != len(head.consents):
        return Deny(Reason.NOT_CURRENT)
    verdicts = {key: _verdict(ask, found[key]) for key in sorted(found)}
    for key, verdict in verdicts.items():
        if verdict is Reason.REFUSED:
            return Deny(verdict, key, head.consents[key])
    for key, verdict in verdicts.items():
        if verdict is None:
            return Permit(key, head.consents[key], ask.patient, head.epoch)
    reasons = [verdict for verdict in verdicts.values() if verdict is not None]
    return Deny(max(reasons, key=_NEARNESS.__getitem__, default=Reason.NO_CONSENT))


def _key(consent: Json) -> ResourceKey:
    return ResourceKey(str(consent.get("resourceType")), str(consent.get("id")))


def _version(consent: Json) -> int | None:
    version = str(consent.get("meta", {}).get("versionId"))
    return int(version) if version.isascii() and version.isdigit() else None


def _verdict(ask: Ask, consent: Json) -> Reason | None:
    """None when this consent permits what is asked, REFUSED when it refuses it, else why it says nothing on it."""
    rule = consent.get("provision")
    about = _about(ask.patient, consent)
    if not in_force(consent) or about is Match.NO or not isinstance(rule, dict):
        return Reason.NO_CONSENT
    spoken = _spoken(ask, rule)
    if elsewhere := next((reason for reason, match in spoken if match is Match.NO), None):
        return elsewhere
    sure = about is Match.YES and all(match is Match.YES for _, match in spoken)
    if rule.get("type") == "permit":
        return _permission(ask, rule, sure=sure)
    return _refusal(ask, rule, sure=sure)


def _permission(ask: Ask, rule: Json, *, sure: bool) -> Reason | None:
    """A permit, unless an exception takes it back; a permit inside a permit may narrow it, so it is not understood."""
    exceptions = _exceptions(rule)
    if any(_refuses(ask, exception) for exception in exceptions):
        return Reason.REFUSED
    if not sure or any(exception.get("type") == "permit" for exception in exceptions):
        return Reason.NOT_UNDERSTOOD
    return None if purposes(rule) == {ask.purpose} else Reason.NOT_SPECIFIC


def _refusal(ask: Ask, rule: Json, *, sure: bool) -> Reason | None:
    """A refusal, or a rule whose type nobody knows. Only an exception that names exactly what is asked opens it."""
    exceptions = _exceptions(rule)
    opened = rule.get("type") == "deny" and any(_opens(ask, exception) for exception in exceptions)
    if not opened or any(_refuses(ask, exception) for exception in exceptions):
        return Reason.REFUSED
    return None if sure else Reason.NOT_UNDERSTOOD


def _refuses(ask: Ask, exception: Json) -> bool:
    return exception.get("type") != "permit" and all(
        match is not Match.NO for _, match in _spoken(ask, exception, nested=True)
    )


def _opens(ask: Ask, exception: Json) -> bool:
    spoken = _spoken(ask, exception, nested=True)
    permits = exception.get("type") == "permit" and all(match is Match.YES for _, match in spoken)
    return permits and purposes(exception) == {ask.purpose}


def _spoken(ask: Ask, rule: Json, *, nested: bool = False) -> tuple[tuple[Reason, Match], ...]:
    """How surely each restriction of a rule lets it speak of what is asked, with the reason if it does not."""
    return (
        (Reason.OTHER_PURPOSE, of_purpose(rule, ask.purpose)),
        (Reason.OUTSIDE_PERIOD, covers(rule.get("period"), ask.instant)),
        (Reason.NOT_COVERED, of_data(rule, ask.resource)),
        (Reason.NOT_COVERED, of_actor(rule, ask.actor)),
        (Reason.NOT_UNDERSTOOD, of_the_rest(rule, nested=nested)),
    )


def _exceptions(rule: Json) -> list[Json]:
    """The rules one level down. What is no rule at all becomes one without type or restriction: it refuses."""
    return [exception if isinstance(exception, dict) else {} for exception in several(rule.get("provision"))]


def _about(patient: str, consent: Json) -> Match:
    """Is this a privacy consent of that patient? A modifier that nobody knows may turn its meaning round."""
    modified = Match.YES if _MODIFIERS.isdisjoint(consent) else Match.UNSURE
    named = names(consent.get("patient"), ResourceKey("Patient", patient))
    scopes = {code for system, code in codings(consent.get("scope")) if system == _SCOPES}
    if "patient-privacy" in scopes:
        return min(modified, named)
    return Match.NO if scopes else min(Match.UNSURE, named)
